"""Load a trained model without unpickling code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError, some
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import CHECKPOINT_KEY, CHECKPOINT_SCHEMA, PerturbationModel
from perturbench_lamin.models.registry import build
from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Attributes:
        model: the model's name in the registry.
        hyperparameters: all of them.
        vocabulary: what the training cells contained.
        provenance: what data it was trained on; strings.
        fingerprint: of these data, see :func:`~perturbench_lamin.loading.fingerprint.fingerprint`; empty in a
            checkpoint that does not say.
        version: the package version that wrote it.
        epochs: epochs finished.
    """

    model: str
    hyperparameters: Mapping[str, Any]
    vocabulary: Vocabulary
    provenance: Mapping[str, str]
    version: str
    epochs: int
    fingerprint: Mapping[str, str] = field(default_factory=dict)

    def require_data(self, fingerprint: Mapping[str, str], *, where: object) -> None:
        """Check that data are those it was trained on, by what both fingerprints say of cells, expression, embedding.

        Raises:
            InputError: they are not.
        """
        names = ("cells", "sample", "embedding")
        other = [n for n in names if n in fingerprint and self.fingerprint.get(n, fingerprint[n]) != fingerprint[n]]
        if other:
            trained = ", ".join(f"{name} {value}" for name, value in sorted(self.provenance.items()))
            raise InputError(
                f"The checkpoint was trained on other data or another version of them: {' and '.join(other)} differ",
                where=where,
                fix=f"Use the curated file it was trained on{f' ({trained})' if trained else ''}; "
                "to predict from other cells on purpose, say other_data=True (--other-data).",
            )

    def require_genes(self, genes: tuple[str, ...], *, where: object) -> None:
        """Check that data have the genes of the model, in any order.

        Raises:
            InputError: they do not; the message names some.
        """
        known, given = set(self.vocabulary.genes), set(genes)
        if known != given:
            lacking, extra = sorted(known - given), sorted(given - known)
            raise InputError(
                f"The checkpoint has other genes: {len(lacking):,} not in the data, {len(extra):,} only in the data",
                where=where,
                fix=f"Use the curated file it was trained on. For example: {some([*lacking[:3], *extra[:3]])}.",
            )


def load_model(path: str | Path) -> tuple[PerturbationModel, CheckpointInfo]:
    """A trained model, on the CPU and in evaluation mode, and what its checkpoint says.

    Raises:
        InputError: there is no such file, it is not a checkpoint of this package, it would run code, or the model
            has other layers since.
        IntegrityError: it is truncated or damaged, weights are missing, of another shape, NaN or infinite.
    """
    path = Path(path)
    checkpoint = _read(path)
    try:
        info = _info(checkpoint)
        model = build(info.model, info.hyperparameters, info.vocabulary)
        model.require_architecture(checkpoint[CHECKPOINT_KEY], where=path)
        weights = checkpoint["state_dict"]
        _require_fitting(model, weights, info.model, path)
        model.load_state_dict(weights)
    except PerturbenchError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise IntegrityError(
            f"The checkpoint's parts do not make a model ({type(error).__name__}: {first})",
            where=path,
            fix="It is damaged, or of another version: train again.",
        ) from error
    model.provenance, model.fingerprint = dict(info.provenance), dict(info.fingerprint)
    return model.eval(), info


def _info(checkpoint: Mapping[str, Any]) -> CheckpointInfo:
    plain = checkpoint[CHECKPOINT_KEY]
    return CheckpointInfo(
        plain["model"],
        plain["hyperparameters"],
        Vocabulary.from_dict(plain["vocabulary"]),
        plain["provenance"],
        plain["version"],
        int(checkpoint["epoch"]) + 1,  # Lightning counts from 0
        plain.get("fingerprint", {}),
    )


def _require_fitting(model: PerturbationModel, weights: Mapping[str, Any], name: str, path: Path) -> None:
    """Check that the weights are those of the model: the same names and shapes, and numbers."""
    own = model.state_dict()
    lacking, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    fix = "The checkpoint was altered, or is of another version of the model: train again."
    if lacking or extra:
        raise IntegrityError(
            f"Not the weights of {name}: {len(lacking):,} are missing, {len(extra):,} are of something else "
            f"({some([*lacking[:2], *extra[:2]])})",
            where=path,
            fix=fix,
        )
    for key, tensor in weights.items():
        if not isinstance(own[key], torch.Tensor):
            continue  # what a model keeps beside its weights is its own affair
        if not isinstance(tensor, torch.Tensor) or tensor.shape != own[key].shape:
            shape = tuple(getattr(tensor, "shape", ()))
            raise IntegrityError(
                f"{key} has the shape {shape}, {name} needs {tuple(own[key].shape)}", where=path, fix=fix
            )
        # A mask of infinities that the model makes itself is none of training.
        if not torch.isfinite(tensor).all() and not torch.equal(tensor, own[key]):
            raise IntegrityError(
                f"The weights {key} are NaN or infinite", where=path, fix="Train again, with a lower learning rate."
            )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("No such checkpoint", where=path, fix="Make one with `perturbench-lamin train`.")
    try:
        checkpoint = PlainCheckpointIO().load_checkpoint(path)
    except pickle.UnpicklingError as error:
        raise InputError(
            "Not a plain checkpoint: it holds objects whose loading would run code, or is not a checkpoint at all",
            where=path,
            fix="Only load checkpoints that this package wrote.",
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(CHECKPOINT_KEY), dict):
        raise InputError("A checkpoint of something else", where=path, fix="Train with `perturbench-lamin train`.")
    schema = checkpoint[CHECKPOINT_KEY].get("schema")
    if schema != CHECKPOINT_SCHEMA:
        raise InputError(
            f"Checkpoint schema {schema!r}, this package reads {CHECKPOINT_SCHEMA!r}",
            where=path,
            fix="Use the version of the package that wrote it, or train again.",
        )
    return checkpoint
