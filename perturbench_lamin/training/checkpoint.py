"""Load a trained model without unpickling code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perturbench_lamin.errors import InputError, some
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
    """
    checkpoint = _read(Path(path))
    plain = checkpoint[CHECKPOINT_KEY]
    vocabulary = Vocabulary.from_dict(plain["vocabulary"])
    model = build(plain["model"], plain["hyperparameters"], vocabulary)
    model.require_architecture(plain, where=path)
    model.load_state_dict(checkpoint["state_dict"])
    model.provenance, model.fingerprint = dict(plain["provenance"]), dict(plain.get("fingerprint", {}))
    epochs = int(checkpoint["epoch"]) + 1  # Lightning counts from 0
    info = CheckpointInfo(
        plain["model"],
        plain["hyperparameters"],
        vocabulary,
        plain["provenance"],
        plain["version"],
        epochs,
        plain.get("fingerprint", {}),
    )
    return model.eval(), info


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
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise InputError("Not a checkpoint, or a truncated one", where=path, fix=f"Reading gave: {error}.") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise InputError("A checkpoint of something else", where=path, fix="Train with `perturbench-lamin train`.")
    schema = checkpoint[CHECKPOINT_KEY]["schema"]
    if schema != CHECKPOINT_SCHEMA:
        raise InputError(f"Checkpoint schema {schema}, this package reads {CHECKPOINT_SCHEMA}", where=path)
    return checkpoint
