"""Checkpoints of a training, linked to its run through LaminDB's Lightning integration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lamindb as ln
from lamindb.integrations import lightning as lamin_lightning
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from perturbench_lamin.lineage import artifacts, keys
from perturbench_lamin.lineage.features import annotate
from perturbench_lamin.lineage.project import label
from perturbench_lamin.models.registry import model_class
from perturbench_lamin.training.fit import FitResult


class RunCheckpoint(lamin_lightning.Checkpoint):
    """LaminDB's checkpoint callback, which registers the best checkpoint once: when the training is over.

    LaminDB's own registers every checkpoint that was the best for a while, also those that are overwritten.
    Trainer settings still become features of the run as the first checkpoint is written.

    Args:
        prefix: the key's folder, from :func:`perturbench_lamin.lineage.keys.checkpoints`; the run's uid is
            appended.
        **settings: of Lightning's ``ModelCheckpoint``.
    """

    def __init__(self, prefix: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._prefix = prefix

    @property
    def base_prefix(self) -> str:
        """The folder of this run's checkpoints."""
        return f"{self._prefix}/{ln.context.run.uid}"

    def _base_prefix(self, trainer: Trainer) -> str:
        return self.base_prefix

    def resolve_artifact_key(self, trainer: Trainer | None, filepath: Path | str, kind: str) -> str:
        """The key of one file of this run."""
        return f"{self.base_prefix}/{Path(filepath).name}"

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        ModelCheckpoint._save_checkpoint(self, trainer, filepath)
        if trainer.is_global_zero:
            self._feature_annotator.save_run_features(trainer, monitor=self.monitor, mode=self.mode)


def register_best(
    result: FitResult, dataset: str, task: str, model: str, seed: int, *, preset: str = ""
) -> ln.Artifact:
    """Register the best checkpoint of a training as an output of the current run.

    It is the training's result whether this run did all epochs, resumed after a kill, or found it finished.

    Returns:
        The artifact, annotated with Lightning's ``is_best_model``, ``score``, ``monitor`` and ``mode``.
    """
    val_loss = float(result.history["val_loss"].min())
    callback = RunCheckpoint(keys.checkpoints(dataset, task, model, seed), monitor="val_loss", mode="min")
    artifact: ln.Artifact = callback.save_checkpoint_artifact(
        None,
        result.best_checkpoint,
        feature_values={
            "is_best_model": True,
            "is_last_model": False,
            "score": val_loss,
            "model_rank": 0,
            "save_weights_only": False,
            "monitor": "val_loss",
            "mode": "min",
        },
    )
    artifact.description = f"Best checkpoint of {model}, seed {seed}, on {dataset} {task}: val_loss {val_loss:.6g}"
    artifact.save()
    about = {"dataset": dataset, "task": task, "model": model, "seed": seed, "preset": preset or None}
    annotate(artifact, {**about, "val_loss": val_loss, **artifacts.checksum(Path(result.best_checkpoint))})
    label(artifact, dataset)
    annotate(ln.context.run, {"val_loss": val_loss})
    return artifact


def provenance(curated: ln.Artifact, split: ln.Artifact, **files: ln.Artifact) -> dict[str, str]:
    """What a checkpoint says of its data, and of the files that hyperparameters name: keys, uids, content hashes."""
    told = {"curated": curated, "split": split, **files}
    return {
        f"{what}_{word}": getattr(artifact, word) for what, artifact in told.items() for word in ("key", "uid", "hash")
    }


def named_files(model: str, hyperparameters: Mapping[str, Any]) -> dict[str, ln.Artifact]:
    """The artifacts that hyperparameters name by key or uid, of those that are files.

    An absolute path is left as it is: a file outside the lineage, of which the checkpoint keeps name and checksum.

    Args:
        model: a name in the registry.
        hyperparameters: of the model.

    Raises:
        InputError: there is no such artifact.
    """
    named = {name: hyperparameters.get(name) for name in model_class(model).hyperparameters_type.files}
    return {name: artifacts.get(value) for name, value in named.items() if value and not Path(value).is_absolute()}


def with_paths(hyperparameters: Mapping[str, Any], files: Mapping[str, ln.Artifact]) -> dict[str, Any]:
    """The hyperparameters with the local files of :func:`named_files`, recorded as inputs of the current run."""
    return {**hyperparameters, **{name: str(artifacts.load(artifact.uid)) for name, artifact in files.items()}}
