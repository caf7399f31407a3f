"""A training's folder: which training it holds, and whether that can be resumed or is finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path, write_text
from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO

BEST, LAST, TRAINING, RESULT, HISTORY = "best.ckpt", "last.ckpt", "training.json", "result.json", "history.csv"


@dataclass(frozen=True)
class RunFolder:
    """The files of one training.

    ``training.json`` says which training it is: configuration, data, version. The same training resumes from
    ``last.ckpt``; for another one these files, and no others, are removed first.
    """

    path: Path

    @property
    def last(self) -> Path:
        """The checkpoint of the latest epoch."""
        return self.path / LAST

    def open(self, training: Mapping[str, Any]) -> None:
        """Make the folder this training's own.

        Args:
            training: plain values that say which training it is.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError("Not a folder", where=self.path, fix="Name another out_dir.")
        for name in (LAST, BEST):  # what a kill left of a write: as large as a checkpoint
            for part in self.path.glob(f".{name}.*.part*"):
                part.unlink()
        text = json.dumps(training, indent=1, sort_keys=True) + "\n"
        mark = self.path / TRAINING
        if mark.exists() and mark.read_text(encoding="utf-8") == text:
            return
        for name in (TRAINING, RESULT, LAST, BEST, HISTORY):
            (self.path / name).unlink(missing_ok=True)
        write_text(mark, text)

    def resumable(self) -> Path | None:
        """The checkpoint to resume from.

        None where there is none, it is not readable, or the best checkpoint that it names is gone (also after
        the folder was moved): the training then starts anew.
        """
        if not self.last.exists():
            return None
        try:
            state = PlainCheckpointIO().load_checkpoint(self.last)
        except Exception:  # any failure to read it means the same
            return None
        named = [callback.get("best_model_path") for callback in state["callbacks"].values()]
        return self.last if all(Path(path).exists() for path in named if path) else None

    def result(self) -> dict[str, Any] | None:
        """What :meth:`finish` wrote, when the training is finished and its checkpoints are there."""
        file = self.path / RESULT
        if not file.exists():
            return None
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        result["best_checkpoint"] = str(self.path / result["best_checkpoint"])
        there = self.last.exists() and Path(result["best_checkpoint"]).exists()
        return result if there else None

    def finish(self, history: pd.DataFrame, best_checkpoint: Path, stopped: str) -> None:
        """Write the history, then the result: the training is finished."""
        # Relative where it can be, so that the folder can be moved.
        inside = best_checkpoint.is_relative_to(self.path)
        best = best_checkpoint.relative_to(self.path) if inside else best_checkpoint
        result = {"best_checkpoint": str(best), "stopped": stopped}
        with atomic_path(self.path / HISTORY) as temporary:
            history.to_csv(temporary, index=False)
        write_text(self.path / RESULT, json.dumps(result, indent=1, sort_keys=True) + "\n")

    def history(self) -> pd.DataFrame:
        """The finished training's history."""
        return pd.read_csv(self.path / HISTORY, float_precision="round_trip")
