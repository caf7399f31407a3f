"""Every artifact key in one place: the folders of the instance, as a reader browses them."""

from __future__ import annotations

CHAIN_TRANSFORM = "perturbench_lamin/chain"
DEPOSIT_TRANSFORM = "perturbench_lamin/deposit"
GIVEN_TRANSFORM = "perturbench_lamin/given"


def raw(dataset: str, file: str) -> str:
    """A deposited file, byte for byte."""
    return f"raw/{dataset}/{file}"


def gene_table() -> str:
    """The table of Ensembl ids and symbols that curation names and checks genes by."""
    return "genes/homo_sapiens.csv.gz"


def gene_source(file: str) -> str:
    """A file with a gene table, byte for byte, as it was given."""
    return f"genes/source/{file}"


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


def report(dataset: str, task: str, model: str, seed: int) -> str:
    """The page that reports on one model and seed beside baselines."""
    return f"reports/{dataset}/{task}/{model}/seed{seed}.html"


def metrics_pattern(dataset: str, task: str) -> str:
    """The metrics tables, one a model and seed, of a dataset and a task; ``all`` stands for every one."""
    return f"metrics/{_any(dataset)}/{_any(task)}/*/*.csv"


def all_metrics(dataset: str, task: str) -> str:
    """The long metrics table of all models and seeds of a task."""
    return f"metrics/{dataset}/{task}.csv"


def leaderboard(dataset: str, task: str) -> str:
    """Mean ± standard deviation over seeds of every model and metric of a task."""
    return f"leaderboards/{dataset}/{task}.csv"


def deposited(dataset: str, file: str) -> str:
    """A file of the published benchmark's own deposit, byte for byte."""
    return f"deposited/{dataset}/{file}"


def comparison(dataset: str, suffix: str = "json") -> str:
    """What a comparison of the curated with the deposited file found: ``json``, or ``html`` for reading."""
    return f"comparisons/{dataset}/deposited.{suffix}"


def study(dataset: str, task: str, model: str) -> str:
    """The folder of a search for hyperparameters."""
    return f"studies/{dataset}/{task}/{model}"


def study_journal(dataset: str, task: str, model: str) -> str:
    """Everything that a study knows of its trials, as Optuna reads it."""
    return f"{study(dataset, task, model)}/study.journal"


def study_trials(dataset: str, task: str, model: str) -> str:
    """The table of a study's trials."""
    return f"{study(dataset, task, model)}/trials.csv"


def study_best(dataset: str, task: str, model: str) -> str:
    """The best configuration that a study found."""
    return f"{study(dataset, task, model)}/best.json"


def pretrained(dataset: str, what: str) -> str:
    """Embeddings of a dataset's ``genes`` or ``perturbations``, for a model that is fitted on another dataset."""
    return f"embeddings/{dataset}/{what}.npz"


def experiment(dataset: str, name: str) -> str:
    """The table of an experiment over several tasks or models."""
    return f"experiments/{dataset}/{name}.csv"


def experiment_figure(dataset: str, name: str) -> str:
    """Its figure."""
    return f"experiments/{dataset}/{name}.png"


def _any(name: str) -> str:
    return "*" if name == "all" else name


def embedded(dataset: str, name: str) -> str:
    """The curated AnnData of a dataset with an embedding of its cells beside the expression."""
    return f"embedded/{dataset}_{name}.h5ad"
