"""Statistics of observed cells by (covariate state, condition), and what is derived of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.groups import Groups, State


@dataclass(frozen=True)
class Observed:
    """Observed cells.

    Attributes:
        groups: the pairs.
        moments: a row per pair.
    """

    groups: Groups
    moments: Moments

    @property
    def states(self) -> set[State]:
        """The covariate states with perturbed cells."""
        return {state for state, _ in self.groups.perturbed}

    def means(self) -> dict[State, np.ndarray]:
        """Per covariate state, the mean over its perturbed conditions of their means: conditions weigh the same."""
        rows: dict[State, list[int]] = {}
        index = self.groups.index
        for pair in self.groups.perturbed:
            rows.setdefault(pair[0], []).append(index[pair])
        return {state: self.moments.means[members].mean(axis=0) for state, members in rows.items()}

    def singles(self, keys: ObsKeys) -> dict[State, dict[str, np.ndarray]]:
        """Per covariate state, the mean of each perturbation that was observed alone."""
        found: dict[State, dict[str, np.ndarray]] = {}
        index = self.groups.index
        for pair in self.groups.perturbed:
            if len(tokens := keys.tokens(pair[1])) == 1:
                found.setdefault(pair[0], {}).setdefault(tokens[0], self.moments.means[index[pair]])
        return found

    def controls(self) -> dict[State, np.ndarray]:
        """Per covariate state, the mean of the control cells."""
        return {
            pair[0]: self.moments.means[row]
            for row, pair in enumerate(self.groups.pairs)
            if pair[1] == self.groups.control
        }
