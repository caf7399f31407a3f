"""The truth of a simulation: what each condition does to each gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from perturbench_lamin.simulation.config import SimulationConfig


@dataclass(frozen=True)
class Effects:
    """Log-fold changes of every condition.

    Attributes:
        conditions: tuples of targets: the empty one for the control, then singles, then pairs.
        log_fold_changes: conditions × genes, natural logarithm.
        interactions: the pairs that are not the sum of their singles.
    """

    conditions: tuple[tuple[str, ...], ...]
    log_fold_changes: npt.NDArray[np.float64]
    interactions: tuple[tuple[str, ...], ...]


def draw_effects(
    targets: Sequence[str], genes: Sequence[str], config: SimulationConfig, rng: np.random.Generator
) -> Effects:
    """Draw sparse effects of single perturbations, and of pairs their sums, some with an interaction.

    Args:
        targets: the perturbed genes, which are among ``genes``.
        genes: all genes.
        config: numbers and strengths.
        rng: the draws.
    """
    singles = _single_effects(targets, genes, config, rng)
    chosen = _choose_pairs(len(targets), config.n_pairs, rng)
    pairs = np.stack([singles[a] + singles[b] for a, b in chosen]) if chosen else np.zeros((0, len(genes)))
    n_interacting = round(config.interaction_fraction * len(chosen))
    interacting = np.sort(rng.permutation(len(chosen))[:n_interacting])
    for pair in interacting:
        changed = np.flatnonzero(pairs[pair])
        pairs[pair, changed] += rng.normal(0.0, config.interaction_sd, len(changed))
    names = [(targets[a], targets[b]) for a, b in chosen]
    return Effects(
        conditions=((), *((target,) for target in targets), *names),
        log_fold_changes=np.vstack([np.zeros((1, len(genes))), singles, pairs]),
        interactions=tuple(names[pair] for pair in interacting),
    )


def effects_table(effects: Effects, genes: Sequence[str], join: str) -> pd.DataFrame:
    """The changes that are not zero, one a row: ``condition, gene, log_fold_change``."""
    rows, columns = np.nonzero(effects.log_fold_changes)
    names = np.array([join.join(condition) for condition in effects.conditions], dtype=object)
    return pd.DataFrame(
        {
            "condition": names[rows],
            "gene": np.array(genes, dtype=object)[columns],
            "log_fold_change": effects.log_fold_changes[rows, columns],
        }
    )


def _single_effects(
    targets: Sequence[str], genes: Sequence[str], config: SimulationConfig, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    position = {gene: index for index, gene in enumerate(genes)}
    n_responsive = max(1, round(config.responsive_fraction * len(genes)))
    responsive = rng.permutation(len(genes))[:n_responsive]
    changes = np.zeros((len(targets), len(genes)))
    for row, target in enumerate(targets):
        downstream = rng.permutation(responsive)[: config.n_downstream]
        changes[row, downstream] = rng.normal(0.0, config.downstream_sd, len(downstream))
        changes[row, position[target]] = config.target_effect
    return changes


def _choose_pairs(n_targets: int, n_pairs: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    possible = list(combinations(range(n_targets), 2))
    return [possible[index] for index in np.sort(rng.permutation(len(possible))[:n_pairs])]
