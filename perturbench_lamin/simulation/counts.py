"""Negative-binomial counts of a simulated screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.effects import Effects, draw_effects
from perturbench_lamin.simulation.genes import gene_names

BARCODE_LENGTH = 16


@dataclass(frozen=True)
class Simulation:
    """A simulated screen.

    Attributes:
        counts: CSR float32, cells × genes, whole numbers.
        cells: a row per cell: ``condition`` (row of ``effects``) and ``state`` (index of its covariate state).
        genes: the genes' symbols.
        effects: the truth.
        state_shifts: states × genes, natural logarithm; the first state's are zero.
        response: one scale of all effects a state; the first state's is 1.
    """

    counts: sp.csr_matrix
    cells: pd.DataFrame
    genes: list[str]
    effects: Effects
    state_shifts: npt.NDArray[np.float64]
    response: npt.NDArray[np.float64]


def simulate_counts(
    config: SimulationConfig, targets: Sequence[str], states: Sequence[tuple[str, ...]] = ((),)
) -> Simulation:
    """Simulate a screen of ``targets``.

    Model: a cell of state s and condition c with library size L has counts
    NB(mean L · softmax(b + u_s + r_s · e_c), dispersion), where b are the genes' log means, u_s the state's shifts,
    r_s its response and e_c the condition's log-fold changes, additive over a pair's genes but for interactions.
    A state's shift is the sum of its covariate values' (and its response their product), so that states share what
    they have in common; each covariate's first value shifts nothing. Drawn as Poisson of gamma, a few thousand cells
    at a time. The same configuration gives the same counts.

    Args:
        config: sizes and strengths.
        targets: the perturbed genes, one a single perturbation.
        states: the covariate states, tuples of covariate values; cells are spread over them evenly.

    Returns:
        The counts and the truth. Every state has cells of every condition, given enough cells.
    """
    truth, layout, draws = (np.random.default_rng(seed) for seed in np.random.SeedSequence(config.seed).spawn(3))
    genes = gene_names(targets, config.n_genes)
    effects = draw_effects(targets, genes, config, truth)
    base = truth.normal(0.0, config.base_sd, len(genes))
    shifts, response = _draw_states(states, len(genes), config, truth)
    cells = _lay_out(config, len(effects.conditions), len(states), layout)
    library = config.mean_umi * np.exp(layout.normal(0.0, config.library_sd, config.n_cells) - config.library_sd**2 / 2)
    profiles = _profiles(base, shifts, response, effects.log_fold_changes)
    counts = _draw(cells, library, profiles, config, draws)
    return Simulation(counts, cells, genes, effects, shifts, response)


def barcodes(n: int, rng: np.random.Generator) -> list[str]:
    """Different barcodes of 16 bases, each with a lane's number."""
    found: dict[str, None] = {}
    while len(found) < n:
        bases = rng.integers(0, 4, size=(n - len(found), BARCODE_LENGTH))
        letters = np.array(list("ACGT"))[bases]
        found.update(dict.fromkeys("".join(row) for row in letters))
    return [f"{barcode}-{1 + index % 8}" for index, barcode in enumerate(found)]


def _draw_states(
    states: Sequence[tuple[str, ...]], n_genes: int, config: SimulationConfig, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    shifts, response = np.zeros((len(states), n_genes)), np.ones(len(states))
    for values in zip(*states, strict=True):  # covariate by covariate
        for value in list(dict.fromkeys(values))[1:]:
            rows = [row for row, other in enumerate(values) if other == value]
            shifts[rows] += rng.normal(0.0, config.state_sd, n_genes)
            response[rows] *= np.exp(rng.normal(0.0, config.response_sd))
    return shifts, response


def _lay_out(config: SimulationConfig, n_conditions: int, n_states: int, rng: np.random.Generator) -> pd.DataFrame:
    """Give each cell a condition and a state, as evenly as whole numbers allow, in random order."""
    n_controls = max(1, round(config.control_fraction * config.n_cells))
    perturbed = np.arange(config.n_cells - n_controls)
    condition = np.concatenate([np.zeros(n_controls, dtype=np.int64), 1 + perturbed % (n_conditions - 1)])
    within = np.concatenate([np.arange(n_controls), perturbed // (n_conditions - 1)])
    order = rng.permutation(config.n_cells)
    return pd.DataFrame({"condition": condition[order], "state": within[order] % n_states})


def _profiles(
    base: npt.NDArray[np.float64],
    shifts: npt.NDArray[np.float64],
    response: npt.NDArray[np.float64],
    changes: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The expected share of each gene: states × conditions × genes, summing to one over genes."""
    logits = base + shifts[:, None, :] + response[:, None, None] * changes[None, :, :]
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _draw(
    cells: pd.DataFrame,
    library: npt.NDArray[np.float64],
    profiles: npt.NDArray[np.float64],
    config: SimulationConfig,
    rng: np.random.Generator,
) -> sp.csr_matrix:
    state, condition = cells["state"].to_numpy(), cells["condition"].to_numpy()
    shape = 1.0 / config.dispersion
    blocks = []
    for start in range(0, len(cells), config.chunk_cells):
        rows = slice(start, start + config.chunk_cells)
        means = library[rows, None] * profiles[state[rows], condition[rows]]
        means *= rng.gamma(shape, 1.0 / shape, size=means.shape)
        blocks.append(sp.csr_matrix(rng.poisson(means).astype(np.float32)))
    return sp.csr_matrix(sp.vstack(blocks, format="csr"))
