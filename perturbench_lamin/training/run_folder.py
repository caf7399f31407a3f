"""A training's folder: which training it holds, and whether that can be resumed or is finished."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from perturbench_lamin.errors import InputError, IntegrityError, some
from perturbench_lamin.files import atomic_path, write_text
from perturbench_lamin.locks import only_one
from perturbench_lamin.storage.csv_file import read_csv, require_columns
from perturbench_lamin.storage.plain_file import read_json
from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO

BEST, LAST, TRAINING, RESULT, HISTORY = "best.ckpt", "last.ckpt", "training.json", "result.json", "history.csv"
LOCK = ".lock"
FILES = "files"
"""In what a training says of itself: the SHA-256 of each file that a hyperparameter names."""


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

    def alone(self) -> AbstractContextManager[int]:
        """Keep other processes from training in this folder, as long as the context lasts.

        Raises:
            InputError: another one does, or the path is not a folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError("Not a folder", where=self.path, fix="Name another out_dir.")
        return only_one(self.path, "training", LOCK, InputError)

    def open(self, training: Mapping[str, Any], resume: bool | None = None) -> None:
        """Make the folder this training's own.

        Args:
            training: plain values that say which training it is.
            resume: True where the folder must hold this very training; False to start anew even so; None to do
                what fits.

        Raises:
            InputError: the folder must hold this training and does not; the message says what differs. Or
                it holds the same training but for the content of a file that a hyperparameter names.
        """
        for name in (LAST, BEST):  # what a kill left of a write: as large as a checkpoint
            for part in self.path.glob(f".{name}.*.part*"):
                part.unlink()
        if resume:
            self._require(training)
        if self.holds(training) and resume is not False:
            return
        if resume is None:
            self._require_files(training)
        for name in (TRAINING, RESULT, LAST, BEST, HISTORY):
            (self.path / name).unlink(missing_ok=True)
        write_text(self.path / TRAINING, _text(training))

    def holds(self, training: Mapping[str, Any]) -> bool:
        """Whether the folder's files are of this training."""
        mark = self.path / TRAINING
        return mark.exists() and mark.read_bytes() == _text(training).encode()

    def _require(self, training: Mapping[str, Any]) -> None:
        mark = self.path / TRAINING
        if not mark.exists():
            raise InputError("There is no training to resume", where=self.path, fix="Train without resume.")
        other = self._other(training)
        if other:
            raise InputError(
                f"The training in the folder is another one: {some(other)} differ",
                where=mark,
                fix="Resume with what it was started with, or use another folder.",
            )

    def _require_files(self, training: Mapping[str, Any]) -> None:
        """A file that was written to under the same name is seldom meant: say so before anything is removed."""
        other = self._other(training)
        if other and all(name.partition(".")[0] == FILES for name in other):
            raise InputError(
                f"Since the training in the folder began, the content of a file has changed: {some(other)}",
                where=self.path / TRAINING,
                fix="Put back the file of the SHA-256 that stands there, use another folder, or remove this one.",
            )

    def _other(self, training: Mapping[str, Any]) -> list[str]:
        """In what the folder's training is another one; nothing where there is none."""
        mark = self.path / TRAINING
        if not mark.exists():
            return []
        return sorted(_differences(read_json(mark), json.loads(_text(training))))

    def resumable(self) -> Path | None:
        """The checkpoint to resume from.

        None where there is none, or the best checkpoint that it names is gone (also after the folder was moved): the
        training then starts anew.

        Raises:
            IntegrityError: there is one, and it is damaged or none of a training.
        """
        if not self.last.exists():
            return None
        try:
            state = PlainCheckpointIO().load_checkpoint(self.last)
            named = [callback.get("best_model_path") for callback in state["callbacks"].values()]
        except (pickle.UnpicklingError, AttributeError, LookupError, TypeError) as error:
            raise IntegrityError("Not the checkpoint of a training", where=self.last) from error
        return self.last if all(Path(path).exists() for path in named if path) else None

    def result(self) -> dict[str, Any] | None:
        """What :meth:`finish` wrote, when the training is finished and its checkpoints are there."""
        file = self.path / RESULT
        if not file.exists():
            return None
        result: dict[str, Any] = read_json(file)
        if not isinstance(result, dict) or not {"best_checkpoint", "stopped"} <= result.keys():
            raise InputError("Not the result of a training", where=file, fix="Remove it: the training goes on then.")
        result["best_checkpoint"] = str(self.path / result["best_checkpoint"])
        there = self.last.exists() and Path(result["best_checkpoint"]).exists()
        return result if there else None

    def finish(self, history: pd.DataFrame, best_checkpoint: Path, **words: str) -> None:
        """Write the history, then the result with further words about it: the training is finished."""
        # Relative where it can be, so that the folder can be moved.
        inside = best_checkpoint.is_relative_to(self.path)
        best = best_checkpoint.relative_to(self.path) if inside else best_checkpoint
        result = {"best_checkpoint": str(best), **words}
        with atomic_path(self.path / HISTORY) as temporary:
            history.to_csv(temporary, index=False)
        write_text(self.path / RESULT, json.dumps(result, indent=1, sort_keys=True) + "\n")

    def rows(self) -> list[dict[str, float]]:
        """The history's rows as the last checkpoint has them."""
        callbacks = PlainCheckpointIO().load_checkpoint(self.last)["callbacks"]
        rows: list[dict[str, float]] = callbacks["MetricHistory"]["rows"]
        return rows

    def history(self) -> pd.DataFrame:
        """The finished training's history."""
        file = read_csv(self.path / HISTORY)
        require_columns(file, ("epoch", "val_loss"))
        try:
            return file.table.replace("", "nan").astype(dict.fromkeys(file.table, float)).astype({"epoch": "int64"})
        except ValueError as error:
            raise InputError(
                f"Not the history of a training: {error}", where=file.path, fix="Remove result.json and train again."
            ) from error


def _text(training: Mapping[str, Any]) -> str:
    return json.dumps(training, indent=1, sort_keys=True) + "\n"


def _differences(held: Any, given: Any, name: str = "") -> Iterator[str]:
    """Names of the entries in which two trainings differ, such as ``config.seed``."""
    if isinstance(held, dict) and isinstance(given, dict):
        for key in held.keys() | given.keys():
            yield from _differences(held.get(key), given.get(key), f"{name}.{key}" if name else key)
    elif held != given:
        yield name
