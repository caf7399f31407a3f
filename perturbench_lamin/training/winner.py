"""Train the winner of a search with further seeds, and score each on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.leaderboard import leaderboard
from perturbench_lamin.evaluation.result import write_table
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.loading.header import read_header
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.objective import metrics_of

FOLDER, METRICS, BOARD = "winner", "metrics.csv", "winner.csv"


def train_winner(
    curated_path: Path,
    split: pd.Series,
    config: TrainConfig,
    seeds: Sequence[int],
    folder: Path,
    *,
    profile: str = "perturbench",
    progress: bool = False,
) -> pd.DataFrame:
    """Train a configuration with each seed and score it on the test split, as the paper does with its winners.

    Trainings that are finished, from an earlier call, are not repeated; one that was killed is resumed.

    Args:
        curated_path: a curated h5ad file.
        split: cell → part.
        config: the winner's; its own seed is not used.
        seeds: one training each.
        folder: of the study; checkpoints go to ``winner/seed<n>``, all metrics to ``winner/metrics.csv`` and
            their means and standard deviations to ``winner.csv``.
        profile: whose metrics and definitions.
        progress: show a bar over the trainings.

    Returns:
        A leaderboard of one model: ``metric``, ``mean``, ``sd`` (over seeds, ddof 1), ``n_seeds``, ….

    Raises:
        InputError: no seed is given, or one twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"Seeds {list(seeds)}", where="winner", fix="Give at least one, each once.")
    dataset, tables = read_header(curated_path).info.dataset, []
    file = CuratedFile(curated_path)  # its expression is read once for all seeds
    for seed in tqdm(seeds, desc="Winner", unit="seed", disable=not progress):
        one = replace(config, seed=seed)
        result = fit(file, split, one, folder / FOLDER / f"seed{seed}", progress=False)
        table = metrics_of(result.best_checkpoint, file, split, "test", profile, one.accelerator, model=config.model)
        tables.append(table.assign(dataset=dataset, split="test", profile=profile, seed=seed))
    metrics = pd.concat(tables, ignore_index=True)
    board = leaderboard(metrics)
    write_table(metrics, folder / FOLDER / METRICS)
    write_table(board, folder / BOARD)
    return board
