"""Published results of PerturBench, as data, to stand beside a leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, nearest

FILE = "published_results.csv"

DATASETS: Mapping[str, str] = {"Srivatsan20": "srivatsan20", "Norman19": "norman19", "Jiang24": "jiang25"}

TASKS: Mapping[str, str] = {"srivatsan20": "transfer", "norman19": "combine", "jiang25": "transfer"}
"""The task of each dataset's table."""

MODELS: Mapping[str, str] = {
    "LinearAdditive": "linear",
    "LatentAdditive": "latent_additive",
    "LatentAdditive(scGPT)": "latent_additive_scgpt",
    "DecoderOnly": "decoder_only",
    "DecoderOnly(Cov)": "decoder_only_covariates",
    "CPA": "cpa",
    "CPA(noAdv)": "cpa_no_adversary",
    "CPA(scGPT)": "cpa_scgpt",
    "SAMS-VAE": "sams_vae",
    "SAMS-VAE(S)": "sams_vae_s",
    "BioLord": "biolord",
    "GEARS": "gears",
}

METRICS: Mapping[str, str] = {
    "cosine_rank_logfc": "cosine_logfc_rank",
    "cosine_rank_pca_average": "cosine_pca_average_rank",
    "deg_recall_topk": "top_k_recall_scores",
    "mmd_none": "mmd_cells",
    "mmd_rank_none": "mmd_cells_rank",
    "mmd_rank_pca": "mmd_pca_rank",
    "rmse_rank_average": "rmse_average_rank",
}
"""The metrics that the table calls otherwise than we do."""

KEY = ["dataset", "model", "metric"]


@lru_cache(maxsize=1)
def _read() -> pd.DataFrame:
    with files("perturbench_lamin.evaluation").joinpath(FILE).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, float_precision="round_trip", keep_default_na=False, na_values=[""])


def published_results(*, final: bool = True) -> pd.DataFrame:
    """What was published, in this package's names.

    Args:
        final: only the numbered tables of the paper (arXiv 2408.10609v4), not the intermediate runs and checks of
            the public repository's notebooks.

    Returns:
        ``dataset``, ``model``, ``metric``, ``mean``, ``std`` (over seeds), ``table``, ``source``, ``n_seeds``,
        ``note``; names without a counterpart here stay as published.
    """
    table = _read().copy()
    if final:
        table = table[table["table"].str.startswith("Table ")]
    for column, names in (("dataset", DATASETS), ("model", MODELS), ("metric", METRICS)):
        table[column] = [names.get(name, name) for name in table[column]]
    return table.reset_index(drop=True)


def with_published(board: pd.DataFrame, models: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Put the published mean ± sd beside each row of a leaderboard.

    Args:
        board: from :func:`~perturbench_lamin.evaluation.leaderboard.leaderboard`, with a column ``dataset``.
        models: names of models on the board → in :data:`MODELS`, where they differ.

    Returns:
        The board, with ``published_mean``, ``published_sd``, ``published_table``, ``published_source`` (missing where
        nothing was published, as for other tasks than :data:`TASKS`) and ``difference_sds``: (mean − published mean)
        / published sd, missing where that sd is missing or 0.

    Raises:
        InputError: the board has no column ``dataset``.
    """
    if "dataset" not in board.columns:
        raise InputError(
            "The leaderboard has no column 'dataset'", where="board", fix=nearest("dataset", board.columns)
        )
    columns = {
        "mean": "published_mean",
        "std": "published_sd",
        "table": "published_table",
        "source": "published_source",
    }
    known = published_results()[[*KEY, *columns]].rename(columns=columns)
    renamed = board["model"].map(lambda name: (models or {}).get(name, name))
    if "task" in board.columns:
        renamed = renamed.where(board["task"] == board["dataset"].map(TASKS))
    joined = board.assign(_model=renamed).merge(
        known.rename(columns={"model": "_model"}),
        on=["dataset", "_model", "metric"], how="left", validate="many_to_one",
    )  # fmt: skip
    sd = joined["published_sd"].where(joined["published_sd"] > 0, np.nan)
    return joined.drop(columns="_model").assign(difference_sds=(joined["mean"] - joined["published_mean"]) / sd)
