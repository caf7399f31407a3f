"""Every artifact key in one place: the folders of the instance, as a reader browses them."""

from __future__ import annotations

CHAIN_TRANSFORM = "perturbench_lamin/chain"


def raw(dataset: str, file: str) -> str:
    """A deposited file, byte for byte."""
    return f"raw/{dataset}/{file}"


def curated(dataset: str) -> str:
    """The curated AnnData of a dataset."""
    return f"curated/{dataset}.h5ad"


def split(dataset: str, task: str) -> str:
    """A frozen split: cell, train / val / test."""
    return f"splits/{dataset}/{task}.csv"


def checkpoints(dataset: str, task: str, model: str, seed: int) -> str:
    """The folder of a model's checkpoints; below it one folder a run."""
    return f"models/{dataset}/{task}/{model}/seed{seed}"


def best_checkpoint(dataset: str, task: str, model: str, seed: int, run: str = "*") -> str:
    """The checkpoint of lowest validation loss that a run made; a pattern for any run by default."""
    return f"{checkpoints(dataset, task, model, seed)}/{run}/best.ckpt"


def prediction(dataset: str, task: str, model: str, seed: int) -> str:
    """Predicted cells or means of the test split."""
    return f"predictions/{dataset}/{task}/{model}/seed{seed}.h5ad"


def metrics(dataset: str, task: str, model: str, seed: int) -> str:
    """The long metrics table of one model and seed."""
    return f"metrics/{dataset}/{task}/{model}/seed{seed}.csv"


def metrics_folder(dataset: str, task: str) -> str:
    """The folder of the metrics tables of a task, one a model and seed."""
    return f"metrics/{dataset}/{task}/"


def all_metrics(dataset: str, task: str) -> str:
    """The long metrics table of all models and seeds of a task."""
    return f"metrics/{dataset}/{task}.csv"


def leaderboard(dataset: str, task: str) -> str:
    """Mean ± standard deviation over seeds of every model and metric of a task."""
    return f"leaderboards/{dataset}/{task}.csv"


def embedded(dataset: str, name: str) -> str:
    """The curated AnnData of a dataset with an embedding of its cells beside the expression."""
    return f"embedded/{dataset}_{name}.h5ad"
