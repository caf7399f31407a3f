"""CPA's adversaries: classifiers that try to read perturbation and covariates from the basal code."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.models.mlp import mlp


class Adversaries(nn.Module):
    """One perceptron for the perturbation and one for each covariate, all from the basal code.

    Args:
        n_latent: width of the basal code.
        hidden: width of the hidden layers.
        n_layers: nonlinear blocks of each.
        n_perturbations: how many tokens there are.
        covariates: covariate → its columns in ``Batch.covariates``.
    """

    def __init__(
        self, n_latent: int, hidden: int, n_layers: int, n_perturbations: int, covariates: Mapping[str, slice]
    ) -> None:
        super().__init__()
        self.slices = dict(covariates)
        self.perturbation = mlp(n_latent, hidden, n_perturbations, n_layers)
        self.covariates = nn.ModuleList(
            mlp(n_latent, hidden, place.stop - place.start, n_layers) for place in self.slices.values()
        )

    def logits(self, basal: Tensor) -> list[Tensor]:
        """Of the perturbation (cells × tokens), then of each covariate (cells × values)."""
        return [self.perturbation(basal), *[network(basal) for network in self.covariates]]

    def loss(self, logits: list[Tensor], batch: Batch) -> Tensor:
        """The sum over adversaries of the mean cross-entropy over cells.

        The target is the multi-hot row as it is: a combination's cross-entropies add up, and a control's is 0.
        """
        truths = [batch.perturbations, *[batch.covariates[:, place] for place in self.slices.values()]]
        pairs = zip(logits, truths, strict=True)
        terms = [nn.functional.cross_entropy(found.float(), truth) for found, truth in pairs]
        return torch.stack(terms).sum()

    def penalty(self, logits: list[Tensor], basal: Tensor) -> Tensor:
        """The sum over adversaries of mean (∂ Σ logits / ∂ basal)², over cells and dimensions."""
        slopes = [torch.autograd.grad(found.sum(), basal, create_graph=True)[0] for found in logits]
        return torch.stack([slope.float().square().mean() for slope in slopes]).sum()
