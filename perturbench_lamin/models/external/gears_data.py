"""What GEARS takes from the training cells, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.external.moments import Moments


@dataclass(frozen=True)
class GearsData:
    """Summaries of training cells.

    Attributes:
        control_mean: mean of the controls of each state (states × genes).
        expressed: whether any cell of a condition expresses a gene (conditions × genes, bool); all of it for the
            control.
        correlations: of the genes over controls and single perturbations (genes × genes).
    """

    control_mean: np.ndarray
    expressed: np.ndarray
    correlations: np.ndarray

    @classmethod
    def of_cells(cls, cells: Iterable[Batch], vocabulary: Vocabulary) -> GearsData:
        """Sum over the training cells.

        Raises:
            InputError: a state has no controls.
        """
        n_genes, n_states = len(vocabulary.genes), len(vocabulary.states)
        n_tokens = np.array([len(set(tokens)) for tokens in vocabulary.conditions.values()])
        sums, counts = np.zeros((n_states, n_genes)), np.zeros(n_states, dtype=np.int64)
        expressed, moments = np.zeros((len(n_tokens), n_genes), dtype=bool), Moments(n_genes)
        for batch in cells:
            values, conditions, states = (
                part.cpu().numpy() for part in (batch.target, batch.condition_ids, batch.state_ids)
            )
            tokens = n_tokens[conditions]
            control = tokens == 0
            for state, rows in _groups(states[control]):
                sums[state] += values[control][rows].sum(0, dtype=np.float64)
            counts += np.bincount(states[control], minlength=n_states)
            for condition, rows in _groups(conditions):
                expressed[condition] |= (values[rows] != 0).any(0)
            moments.add(values[tokens <= 1])
        _require_controls(counts, vocabulary)
        expressed[n_tokens == 0] = True
        return cls(sums / counts[:, None], expressed, moments.correlations())


def _groups(codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each code and its places."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    if len(codes):
        yield from zip(present.tolist(), np.split(order, starts[1:]), strict=True)


def _require_controls(counts: np.ndarray, vocabulary: Vocabulary) -> None:
    bare = ["/".join(state) for state, count in zip(vocabulary.states, counts, strict=True) if not count]
    if bare:
        raise InputError(
            f"Training cells of {len(bare):,} covariate states have no controls",
            where="gears",
            fix=f"Use a split with controls in each: {some(bare)}.",
        )
