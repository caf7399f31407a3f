"""CellFlow, from its own package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.external.energy import energy_distance
from perturbench_lamin.models.external.flow import CellFlowHyperparameters, Conditions, Flow
from perturbench_lamin.models.external.moments import Moments
from perturbench_lamin.models.external.sets import cell_sets
from perturbench_lamin.models.external.training_cells import training_cells
from perturbench_lamin.models.hyperparameters import Hyperparameters

SEEDS = 2**31 - 1


class CellFlow(PerturbationModel):
    """CellFlow (Klein et al., bioRxiv 2025.04.11.648220), package cellflow-tools, in JAX.

    A flow, learnt by flow matching with pairs from optimal transport, carries control cells to perturbed ones.
    It lives in the principal components of the training cells; predictions are turned back into genes by them,
    so that they may be slightly negative and hold nothing outside of the components.

    Each training batch makes one step as the package does: a random covariate state, a random condition of it,
    and ``set_size`` cells of each drawn with replacement; which cells the batch holds does not matter.
    ``val_loss`` is the mean squared error, as for every model; :meth:`loss` is the mean energy distance between
    predicted and observed cells of each condition and state.
    Perturbations and covariates are one-hot vectors; the set of a condition has one vector for each
    perturbation. Control cells without perturbation are returned as they are: the package has no prediction
    for them. Weights and the optimiser's state are plain arrays in the checkpoint.
    """

    name: ClassVar[str] = "cellflow"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = CellFlowHyperparameters
    mean: Tensor
    components: Tensor

    def __init__(self, hyperparameters: CellFlowHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        self.automatic_optimization = False
        self.register_buffer("mean", torch.zeros(len(vocabulary.genes)))
        self.register_buffer("components", torch.zeros(len(vocabulary.genes), settings.n_components))
        # Lightning counts optimiser steps and writes no checkpoint at step 0: this parameter lets it count.
        self.steps = torch.nn.Parameter(torch.zeros(()))
        self._cells: _ProjectedCells | None = None
        self._set_size = max([1, *(len(set(tokens)) for tokens in vocabulary.conditions.values())])
        widths = {"perturbation": len(vocabulary.perturbations), "covariates": vocabulary.n_covariates}
        self.flow = Flow(settings, {name: width for name, width in widths.items() if width}, _draw_seed())

    def setup(self, stage: str) -> None:
        """Principal components of the training cells, and these in them, before a training."""
        if stage == "fit":
            moments = Moments(len(self.vocabulary.genes))
            for batch in training_cells(self.trainer):
                moments.add(batch.target.cpu().numpy())
            self.mean.copy_(torch.from_numpy(moments.mean))
            self.components.copy_(torch.from_numpy(moments.components(self.settings.n_components)))
            self._cells = None

    def on_train_start(self) -> None:
        """Project the training cells, after a checkpoint that is resumed has been read."""
        self._cells = _ProjectedCells.of(training_cells(self.trainer), self)

    def predict(self, batch: Batch) -> Tensor:
        """The ends of the paths of perturbed cells; controls unchanged."""
        treated = batch.perturbations.any(1)
        predicted = batch.controls.clone()
        if treated.any():
            conditions = self._conditions(batch.perturbations[treated], batch.covariates[treated])
            ends = torch.from_numpy(self.flow.transport(self.project(batch.controls[treated]), conditions))
            device = predicted.device
            predicted[treated] = (self.mean + ends.to(device) @ self.components.T).to(predicted.dtype)
        return predicted

    def project(self, cells: Tensor) -> np.ndarray:
        """Cells in the principal components (cells × components, float32)."""
        return ((cells - self.mean) @ self.components).cpu().numpy()

    def loss(self, batch: Batch) -> Tensor:
        """The mean energy distance of the batch's sets of one condition and state."""
        predicted, target = self.predict(batch), batch.target
        sets = cell_sets(batch, len(batch))
        return torch.cat([energy_distance(predicted[places], target[places]) for places in sets]).mean()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step on cells of a random state and condition."""
        assert self._cells is not None
        seed = _draw_seed()
        controls, perturbed, example = self._cells.draw(self.settings.set_size, np.random.default_rng(seed))
        loss = torch.tensor(self.flow.step(controls, perturbed, self._conditions(*example), seed))
        optimizer: Any = self.optimizers()
        optimizer.step()
        self.log_mean("train_loss", loss, batch)
        return loss

    def configure_optimizers(self) -> Any:
        """An optimiser that only counts; CellFlow has its own."""
        return torch.optim.SGD([self.steps], lr=0.0)

    def on_train_epoch_end(self) -> None:
        """There is no learning rate to schedule."""

    def get_extra_state(self) -> dict[str, list[Tensor]]:
        """The flow's arrays, for the checkpoint."""
        return {"flow": [torch.from_numpy(array) for array in self.flow.arrays()]}

    def set_extra_state(self, state: dict[str, list[Tensor]]) -> None:
        """Take them over from a checkpoint."""
        self.flow.restore([array.cpu().numpy() for array in state["flow"]])

    def _conditions(self, perturbations: Tensor, covariates: Tensor) -> Conditions:
        """Each cell's tokens as a set of one-hot vectors, filled up with zeros, and its covariates beside each."""
        tokens, codes = perturbations.cpu().numpy(), covariates.cpu().numpy()
        size = max(self._set_size, int(tokens.sum(1).max()))
        sets = np.zeros((len(tokens), size, tokens.shape[1]), dtype=np.float32)
        cell, token = np.nonzero(tokens)
        sets[cell, np.arange(len(cell)) - np.searchsorted(cell, cell), token] = 1
        parts = {"perturbation": sets, "covariates": np.repeat(codes[:, None], size, axis=1)}
        return {name: values for name, values in parts.items() if values.shape[2]}


@dataclass(frozen=True)
class _ProjectedCells:
    """Training cells in the components.

    Attributes:
        controls: the control cells of each state that has perturbed cells.
        perturbed: for each such state its conditions' cells, and one cell's tokens and covariates (1 × width).
    """

    controls: list[np.ndarray]
    perturbed: list[list[tuple[np.ndarray, tuple[Tensor, Tensor]]]]

    @classmethod
    def of(cls, batches: Iterable[Batch], model: CellFlow) -> _ProjectedCells:
        """Project cells and sort them by state and condition.

        Raises:
            InputError: a state with perturbed cells has no controls, or there are no perturbed cells.
        """
        gathered: dict[tuple[int, int], list[np.ndarray]] = {}
        codes: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        for batch in batches:
            cells = model.project(batch.target.to(model.device))
            keys = torch.stack([batch.state_ids, batch.condition_ids], dim=1)
            for key in torch.unique(keys, dim=0):
                same = (keys == key).all(1)
                pair = (int(key[0]), int(key[1]))
                gathered.setdefault(pair, []).append(cells[same.cpu().numpy()])
                codes.setdefault(pair, (batch.perturbations[same][:1], batch.covariates[same][:1]))
        return cls._sorted({key: np.concatenate(parts) for key, parts in sorted(gathered.items())}, codes)

    @classmethod
    def _sorted(
        cls, cells: dict[tuple[int, int], np.ndarray], codes: dict[tuple[int, int], tuple[Tensor, Tensor]]
    ) -> _ProjectedCells:
        treated = {key for key in cells if codes[key][0].any()}
        states = sorted({state for state, _ in treated})
        controls = [[part for key, part in cells.items() if key[0] == s and key not in treated] for s in states]
        if not states or not all(controls):
            raise InputError(
                "A covariate state lacks perturbed cells or their controls",
                where="training cells",
                fix="Use a split that has both in each state.",
            )
        perturbed = [[(cells[key], codes[key]) for key in sorted(treated) if key[0] == state] for state in states]
        return cls([np.concatenate(parts) for parts in controls], perturbed)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, tuple[Tensor, Tensor]]:
        """Controls and perturbed cells of a random state and condition (n × components each), and what was done."""
        state = rng.integers(len(self.controls))
        controls, (perturbed, codes) = (
            self.controls[state],
            self.perturbed[state][rng.integers(len(self.perturbed[state]))],
        )
        return rng.choice(controls, n), rng.choice(perturbed, n), codes


def _draw_seed() -> int:
    """A seed from torch's generator, which each epoch of a training seeds."""
    return int(torch.randint(SEEDS, ()))
