"""What decides a training, apart from its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.placement import MEMORIES

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "64-true")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")

KNOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"memory": MEMORIES, "precision": PRECISIONS, "accelerator": ACCELERATORS}
)
"""What each word may be."""

LEAST: Mapping[str, int] = MappingProxyType(
    {
        "seed": 0,
        "max_epochs": 1,
        "min_epochs": 0,
        "batch_size": 1,
        "patience": 1,
        "devices": 1,
        "num_nodes": 1,
        "prefetch": 0,
    }
)
"""The least value of each whole number."""

ELSE: Mapping[str, int | None] = MappingProxyType({"devices": -1, "prefetch": None})
"""What else some of them may be."""

SAME_RESULT = ("memory", "prefetch")
"""Entries that do not change what is trained."""


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of one training.

    Attributes:
        model: a name of the registry.
        hyperparameters: the model's hyperparameters other than the defaults.
        seed: seed of initial weights, order of cells, control draws and dropout.
        max_epochs: epochs at most; a closed-form baseline takes one whatever this says.
        min_epochs: epochs at least, however ``val_loss`` goes.
        batch_size: cells in a batch, of all devices together.
        patience: epochs without a better ``val_loss`` before it stops.
        precision: a Lightning precision; the published runs used ``16-mixed`` on a GPU.
        accelerator: one of :data:`ACCELERATORS`; ``auto`` is a CUDA GPU where torch finds one, else the CPU.
        devices: how many of them on each node, -1 for all; each takes its part of every batch. A closed-form
            baseline uses one.
        num_nodes: how many machines.
        strategy: a Lightning strategy, such as ``ddp``.
        memory: where the expression is held: ``memory``, ``disk``, ``device`` (for GPUs: on a CPU slower than
            ``memory``), or ``auto``, which decides by the memory that is free. The batches are the same.
        prefetch: how many batches are made ahead, by as many threads; None for two where the device is not a
            CPU, one where the expression is on disk, none otherwise. The batches are the same.
    """

    model: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 245
    max_epochs: int = 500
    min_epochs: int = 5
    batch_size: int = 4000
    patience: int = 50
    precision: str = "32-true"
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    memory: str = "auto"
    prefetch: int | None = None

    def __post_init__(self) -> None:
        for name, known in KNOWN.items():
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"Unknown {name} {value!r}", where="config", fix=nearest(value, known))
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value == ELSE.get(name, ...):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(
                    f"{name} is {value!r}", where="config", fix=f"Give a whole number of at least {least}."
                )

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TrainConfig:
        """A configuration from plain values, such as a parsed file.

        Raises:
            InputError: an entry is unknown or has a wrong value.
        """
        known = [item.name for item in fields(cls)]
        for name in plain:
            if name not in known:
                raise InputError(f"Unknown entry {name!r}", where="config", fix=nearest(name, known))
        if "model" not in plain:
            raise InputError("No model is named", where="config", fix="Add the entry model.")
        return cls(**plain)

    @classmethod
    def from_published(cls, model: str, dataset: str, variant: str | None = None, **changes: Any) -> TrainConfig:
        """The published best configuration of a model on a dataset, with ``changes`` to other fields.

        Raises:
            InputError: nothing is published for them, or a change is unknown.
        """
        from perturbench_lamin.models.published import published

        best = published(model, dataset, variant)
        return cls.from_dict({"model": model, "hyperparameters": best.hyperparameters, **best.training, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "hyperparameters": dict(self.hyperparameters)}
