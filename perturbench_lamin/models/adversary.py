"""CPA's adversaries: classifiers that try to read perturbation and covariates from the basal code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.models.mlp import at_least_single, mlp


class Adversaries(nn.Module):
    """One perceptron for the perturbation and one for each covariate, all from the basal code.

    Args:
        n_latent: width of the basal code.
        hidden: width of the hidden layers.
        n_layers: nonlinear blocks of each.
        n_perturbations: how many tokens there are.
        covariates: covariate → its columns in ``Batch.covariates``.
        dropout: probability of dropping a hidden unit.
        affine: whether the norms have parameters.
    """

    def __init__(
        self,
        n_latent: int,
        hidden: int,
        n_layers: int,
        n_perturbations: int,
        covariates: Mapping[str, slice],
        *,
        dropout: float,
        affine: bool,
    ) -> None:
        super().__init__()
        self.slices = dict(covariates)
        layers = partial(mlp, n_latent, hidden, n_layers=n_layers, dropout=dropout, affine=affine)
        self.perturbation = layers(n_perturbations)
        self.covariates = nn.ModuleList(layers(place.stop - place.start) for place in self.slices.values())

    def logits(self, basal: Tensor) -> list[Tensor]:
        """Of the perturbation (cells × tokens), then of each covariate (cells × values)."""
        return [self.perturbation(basal), *[network(basal) for network in self.covariates]]

    def cross_entropies(self, logits: list[Tensor], batch: Batch) -> Tensor:
        """Each adversary's mean cross-entropy over cells: of the perturbation, then of each covariate.

        The target is the multi-hot row as it is: a combination's cross-entropies add up, and a control's is 0.
        """
        truths = [batch.perturbations, *[batch.covariates[:, place] for place in self.slices.values()]]
        pairs = zip(logits, truths, strict=True)
        terms = [nn.functional.cross_entropy(at_least_single(found), truth) for found, truth in pairs]
        return torch.stack(terms)

    def penalties(self, logits: list[Tensor], basal: Tensor) -> Tensor:
        """Each adversary's mean (∂ Σ logits / ∂ basal)², over cells and dimensions, in the same order."""
        slopes = [torch.autograd.grad(found.sum(), basal, create_graph=True)[0] for found in logits]
        return torch.stack([at_least_single(slope).square().mean() for slope in slopes])
