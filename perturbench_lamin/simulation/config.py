"""What a simulation is made of."""

from __future__ import annotations

from dataclasses import dataclass

from perturbench_lamin.errors import InputError


@dataclass(frozen=True)
class SimulationConfig:
    """Sizes and strengths of a simulated screen. The defaults make a demonstration of a few seconds.

    Fold changes are in natural logarithms.

    Attributes:
        n_cells: cells in all.
        n_genes: genes, the perturbed ones among them.
        n_singles: single perturbations.
        n_pairs: pairs, all of perturbations that also occur singly.
        control_fraction: of the cells.
        mean_umi: mean number of counts of a cell.
        library_sd: standard deviation of the logarithm of a cell's counts.
        base_sd: standard deviation of the logarithm of the genes' means.
        dispersion: of the negative binomial: variance = μ + dispersion · μ².
        target_effect: of a perturbation on its own gene: positive for activation, negative for a knock-down.
        n_downstream: other genes that a perturbation changes.
        responsive_fraction: of the genes, those that any perturbation can change downstream.
        downstream_sd: standard deviation of the downstream effects.
        interaction_fraction: of the pairs, those that are not additive.
        interaction_sd: standard deviation of what is added to such a pair's changed genes.
        state_sd: standard deviation of a gene's shift by each further value of a covariate.
        response_sd: standard deviation of the logarithm of a further value's scale of all effects.
        chunk_cells: cells drawn at a time: bounds the memory.
        seed: of every draw.
    """

    n_cells: int = 7_000
    n_genes: int = 1_200
    n_singles: int = 24
    n_pairs: int = 30
    control_fraction: float = 0.15
    mean_umi: float = 3_000.0
    library_sd: float = 0.35
    base_sd: float = 1.2
    dispersion: float = 0.25
    target_effect: float = 2.0
    n_downstream: int = 50
    responsive_fraction: float = 0.3
    downstream_sd: float = 0.8
    interaction_fraction: float = 0.3
    interaction_sd: float = 0.4
    state_sd: float = 0.5
    response_sd: float = 0.15
    chunk_cells: int = 2_048
    seed: int = 42

    def __post_init__(self) -> None:
        possible = self.n_singles * (self.n_singles - 1) // 2
        checks = (
            (self.n_cells >= 1, "n_cells", "at least 1"),
            (self.chunk_cells >= 1, "chunk_cells", "at least 1"),
            (self.n_singles >= 1, "n_singles", "at least 1"),
            (
                0 <= self.n_pairs <= possible,
                "n_pairs",
                f"between 0 and {possible:,}, the pairs of {self.n_singles} singles",
            ),
            (self.n_genes >= self.n_singles + 1, "n_genes", "more than n_singles: each perturbation has a gene"),
            (0 < self.control_fraction < 1, "control_fraction", "between 0 and 1"),
            (0 <= self.interaction_fraction <= 1, "interaction_fraction", "between 0 and 1"),
            (0 < self.responsive_fraction <= 1, "responsive_fraction", "above 0 and at most 1"),
            (self.mean_umi > 0, "mean_umi", "above 0"),
            (self.dispersion > 0, "dispersion", "above 0"),
        )
        for holds, name, rule in checks:
            if not holds:
                raise InputError(f"{name} = {getattr(self, name)} must be {rule}", where="SimulationConfig")
