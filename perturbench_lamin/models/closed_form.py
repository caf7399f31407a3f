"""What the closed-form baselines share: centroids in one pass, then a control mean and a shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.hyperparameters import Hyperparameters

BASES = ("mean", "cells")


@dataclass(frozen=True)
class ClosedFormHyperparameters(Hyperparameters):
    """Hyperparameters of a closed-form baseline.

    Attributes:
        base: what the shift is added to. ``mean``: the mean of the training controls of the covariate state,
            so that all cells of a condition are predicted alike, as the published formulas are stated.
            ``cells``: each given control cell, so that predicted cells vary as controls do.
    """

    base: str = "mean"

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise InputError(f"base is {self.base!r}", where="hyperparameters", fix=nearest(self.base, BASES))


@dataclass(frozen=True)
class Centroids:
    """Mean change from control of each training condition in each covariate state.

    Attributes:
        effects: centroid of the condition minus the state's control mean (states × conditions × genes,
            float64); zero where there are no cells.
        seen: whether there are cells (states × conditions); False for the control.
    """

    effects: Tensor
    seen: Tensor


class ClosedForm(PerturbationModel):
    """A baseline of means: prediction = control (mean or cell) + shift(condition, covariate state).

    Lightning fits it in one epoch over all training cells, summing in float64. Tables have one row for each
    training state and a last one, the mean over states, which state id -1 (a combination of covariate values
    that training lacks) picks.
    """

    hyperparameters_type: ClassVar[type[Hyperparameters]] = ClosedFormHyperparameters
    train_sampling: ClassVar[str] = "disentanglement"
    epochs: ClassVar[int | None] = 1
    control_mean: Tensor

    def __init__(self, hyperparameters: ClosedFormHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.automatic_optimization = False
        self.base = hyperparameters.base
        self.register_buffer("control_mean", self.table())
        # Lightning counts optimiser steps and writes no checkpoint at step 0: this parameter lets it count.
        self.steps = torch.nn.Parameter(torch.zeros(()))
        self._sums: Tensor | None = None
        self._counts: Tensor | None = None

    def table(self, *shape: int) -> Tensor:
        """A zero table (training states + 1) × shape × genes."""
        return torch.zeros(len(self.vocabulary.states) + 1, *shape, len(self.vocabulary.genes))

    def solve(self, centroids: Centroids) -> None:
        """Fill the subclass's tables."""
        raise NotImplementedError

    def shift(self, batch: Batch) -> Tensor:
        """What is added to the control (cells × genes)."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> Tensor:
        """Control plus shift."""
        base = batch.controls if self.base == "cells" else self.control_mean[batch.state_ids]
        return base + self.shift(batch)

    def configure_optimizers(self) -> Any:
        """An optimiser that only counts."""
        return torch.optim.SGD([self.steps], lr=0.0)

    def on_train_epoch_start(self) -> None:
        """Start the sums anew."""
        n_groups = len(self.vocabulary.states) * len(self.vocabulary.conditions)
        shape = (n_groups, len(self.vocabulary.genes))
        self._sums = torch.zeros(shape, dtype=torch.float64, device=self.device)
        self._counts = torch.zeros(n_groups, dtype=torch.float64, device=self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the batch's cells to the sums of their (state, condition)."""
        assert self._sums is not None
        assert self._counts is not None
        group = batch.state_ids * len(self.vocabulary.conditions) + batch.condition_ids
        self._sums.index_add_(0, group, batch.target.double())
        self._counts.index_add_(0, group, torch.ones_like(group, dtype=torch.float64))
        optimizer: Any = self.optimizers()
        optimizer.step()

    def on_validation_epoch_start(self) -> None:
        """All training cells are summed: solve."""
        if self._sums is not None:
            self.solve(self._centroids())
            self._sums = self._counts = None

    def on_train_epoch_end(self) -> None:
        """There is no learning rate to schedule."""

    def _centroids(self) -> Centroids:
        assert self._sums is not None
        assert self._counts is not None
        vocabulary = self.vocabulary
        counts = self._counts.view(len(vocabulary.states), len(vocabulary.conditions))
        control = self._control_place(counts)
        means = self._sums.view(*counts.shape, -1).div_(counts.clamp(min=1)[..., None])
        reference = means[:, control].clone()
        self.control_mean.copy_(torch.cat([reference, reference.mean(0, keepdim=True)]))
        seen = counts > 0
        seen[:, control] = False
        return Centroids(means.sub_(reference[:, None]).mul_(seen[..., None]), seen)

    def _control_place(self, counts: Tensor) -> int:
        """The control's column of ``counts`` (states × conditions), after a check that each state has controls."""
        vocabulary = self.vocabulary
        names = list(vocabulary.conditions)
        control = names.index(vocabulary.control) if vocabulary.control in names else -1
        held = counts[:, control] if control >= 0 else torch.zeros(len(counts))
        bare = [state for state, count in zip(vocabulary.states, held.tolist(), strict=True) if not count]
        if bare:
            raise InputError(
                f"Training cells of {len(bare):,} covariate states have no controls",
                where=self.name,
                fix=f"Use a split with controls in each: {some('/'.join(state) for state in bare)}.",
            )
        return control
