"""The decoder-only model of PerturBench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.grouped import GroupedBatch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.distinct import distinct_inputs
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.mlp import mlp


@dataclass(frozen=True)
class DecoderOnlyHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`DecoderOnly`.

    Attributes:
        n_layers: nonlinear blocks (generation v1, see :func:`~.mlp.mlp`).
        encoder_width: hidden width.
        use_perturbations: whether it sees the tokens; without, it is the paper's covariates-only control.
        use_covariates: whether it sees the covariates.
        softplus_output: whether softplus makes the prediction positive.
    """

    lr: float = 6.72e-5
    wd: float = 7.90e-9
    n_layers: int = 3
    encoder_width: int = 3072
    use_perturbations: bool = True
    use_covariates: bool = True
    softplus_output: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.use_perturbations or self.use_covariates):
            raise InputError("The decoder has no input", where="decoder_only", fix="Use perturbations or covariates.")


class DecoderOnly(PerturbationModel):
    """x̂ = softplus(MLP([p; c])): it never sees the control cell (PerturBench, arXiv 2408.10609).

    All cells of a condition and state have one prediction, so that it trains on the mean cells of these groups
    (:class:`~perturbench_lamin.loading.grouped.GroupedBatch`): the same loss and gradient as cell by cell.
    """

    name: ClassVar[str] = "decoder_only"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = DecoderOnlyHyperparameters
    train_sampling: ClassVar[str] = "grouped"
    val_sampling: ClassVar[str] = "grouped"

    def __init__(self, hyperparameters: DecoderOnlyHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        n_in = len(vocabulary.perturbations) * settings.use_perturbations
        n_in += vocabulary.n_covariates * settings.use_covariates
        self.decoder = mlp(n_in, settings.encoder_width, len(vocabulary.genes), settings.n_layers)

    def predict(self, batch: Batch) -> Tensor:
        """Decode each distinct input once and give every cell its own."""
        return self._decode_distinct(batch)

    def error(self, batch: Batch | GroupedBatch) -> Tensor:
        """The mean of (predicted − observed)² over all cells and genes; a scalar."""
        if isinstance(batch, GroupedBatch):
            return batch.squared_error(self._decode_distinct(batch))
        return super().error(batch)

    def _decode_distinct(self, batch: Batch | GroupedBatch) -> Tensor:
        inputs, place = self._distinct(batch)
        decoded = self.decoder(inputs)
        return (nn.functional.softplus(decoded) if self.settings.softplus_output else decoded)[place]

    def _distinct(self, batch: Batch | GroupedBatch) -> tuple[Tensor, Tensor]:
        used: list[tuple[Tensor, Tensor]] = []
        if self.settings.use_perturbations:
            used.append((batch.condition_ids, batch.perturbations))
        if self.settings.use_covariates:
            used.append((batch.state_ids, batch.covariates))
        return distinct_inputs(used)
