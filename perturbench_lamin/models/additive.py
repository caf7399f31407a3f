"""The additive baseline for combinations."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.closed_form import Centroids, ClosedForm, ClosedFormHyperparameters
from perturbench_lamin.models.tables import with_fallback


class Additive(ClosedForm):
    """μ̂_AB = μ_A + μ_B − μ_c: control plus the sum of the tokens' effects.

    Ahlmann-Eltze, Huber & Anders, Nature Methods 2025. A token's effect is μ_A − μ_c of its single perturbation
    in the covariate state; where the state lacks that single, the mean of the effect over the states that have
    it. A token that training has in combinations only gets what these leave after the effects of the tokens
    known from singles, shared evenly among the unknown ones, averaged over such conditions and states.
    """

    name: ClassVar[str] = "additive"
    token_effects: Tensor

    def __init__(self, hyperparameters: ClosedFormHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.register_buffer("token_effects", self.table(len(vocabulary.perturbations)))

    def solve(self, centroids: Centroids) -> None:
        """The effects of all tokens in all states."""
        tokens = torch.from_numpy(self.vocabulary.encode_perturbations(self.vocabulary.conditions.values()))
        tokens = tokens.to(centroids.effects)
        lengths = tokens.new_tensor([len(names) for names in self.vocabulary.conditions.values()])
        single = tokens * (lengths == 1)[:, None]  # conditions × tokens
        # Several conditions can be one single ("A" and "A+control"): their mean is its effect.
        counts = centroids.seen.to(single) @ single
        values = torch.einsum("skg,kt->stg", centroids.effects, single) / counts.clamp(min=1)[..., None]
        effects = with_fallback(values, counts > 0)
        known = (counts > 0).any(0)
        if not known.all():
            effects[:, ~known] = _leftovers(centroids, tokens, effects[:-1], known)
        self.token_effects.copy_(effects)

    def shift(self, batch: Batch) -> Tensor:
        """The sum of the tokens' effects in the cell's state."""
        total = torch.empty_like(batch.controls)
        for state in torch.unique(batch.state_ids).tolist():
            cells = batch.state_ids == state
            total[cells] = batch.perturbations[cells] @ self.token_effects[state]
        return total


def _leftovers(centroids: Centroids, tokens: Tensor, effects: Tensor, known: Tensor) -> Tensor:
    """The effects of tokens that no single shows: unknown tokens × genes."""
    unknown = tokens[:, ~known]  # conditions × unknown tokens
    share = unknown / unknown.sum(1, keepdim=True).clamp(min=1)
    explained = torch.einsum("kt,stg->skg", tokens * known, effects)
    left = (centroids.effects - explained) * centroids.seen[..., None]
    total = torch.einsum("skg,kt->tg", left, share)
    return total / (centroids.seen.to(unknown) @ unknown).sum(0).clamp(min=1)[:, None]
