"""Every simulated deposit by its dataset's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.frangieh21 import simulate_frangieh21
from perturbench_lamin.simulation.jiang25 import simulate_jiang25
from perturbench_lamin.simulation.mcfaline24 import simulate_mcfaline24
from perturbench_lamin.simulation.norman19 import simulate_norman19
from perturbench_lamin.simulation.srivatsan20 import simulate_srivatsan20
from perturbench_lamin.simulation.szalata24 import simulate_szalata24

Simulator = Callable[[str | Path, SimulationConfig | None], Path | tuple[Path, ...]]

SIMULATORS: Mapping[str, Simulator] = MappingProxyType(
    {
        "norman19": simulate_norman19,
        "srivatsan20": simulate_srivatsan20,
        "frangieh21": simulate_frangieh21,
        "mcfaline24": simulate_mcfaline24,
        "jiang25": simulate_jiang25,
        "szalata24": simulate_szalata24,
    }
)


def simulate_deposit(dataset: str, folder: str | Path, config: SimulationConfig | None = None) -> tuple[Path, ...]:
    """Write a simulated deposit in a dataset's layout, under ``<folder>/<dataset>``.

    Args:
        dataset: a name or an alias in the catalog.
        folder: a folder of raw files, one subfolder a dataset; it can then serve as a mirror.
        config: sizes and strengths; None for the dataset's own, which make a file within seconds.

    Returns:
        The files, in the catalog's order.

    Raises:
        InputError: no dataset has that name.
    """
    written = SIMULATORS[get_dataset(dataset).name](folder, config)
    return written if isinstance(written, tuple) else (written,)
