"""Register small data and run on it the notebooks of a search, of the experiments, and of an embedding of cells; in a
process of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scgpt_stand_in
from scipy import sparse

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.chain.benchmark import BenchmarkConfig
from perturbench_lamin.chain.experiments import EXPERIMENTS, experiment_steps
from perturbench_lamin.chain.run import Chain, run_chain
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.chain.tuning import TuningConfig, tuning_steps
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation.preprocess import preprocess_file
from perturbench_lamin.curation.report import PreprocessParams
from perturbench_lamin.lineage import keys
from perturbench_lamin.lineage.instance import local_instance
from perturbench_lamin.locks import only_one
from perturbench_lamin.splitting.io import write_split
from perturbench_lamin.splitting.obs import read_obs
from perturbench_lamin.splitting.tasks import make_split

KEYS = ObsKeys(covariates=("cell_type",))
TASKS = ("small", "transfer")
DATASET = get_dataset("norman19")
EMBEDDED = "cpa-scgpt"


def curated(folder: Path) -> Path:
    """A small curated file: six perturbations in two lines."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame([(c, t) for c in ("control", *"ABCDEF") for t in "xy" for _ in range(20)])
    obs = obs.set_axis(["condition", "cell_type"], axis=1).set_axis([f"c{i}" for i in range(len(obs))])
    means = rng.gamma(2.0, 2.0, (obs["condition"].nunique(), 60))[pd.factorize(obs["condition"])[0]]
    var = pd.DataFrame(index=[f"g{i:02d}" for i in range(60)])
    ad.AnnData(sparse.csr_matrix(rng.poisson(means).astype(np.float32)), obs, var).write_h5ad(folder / "raw.h5ad")
    params = PreprocessParams(highly_variable=30, degs=5, min_cells=1)
    preprocess_file(folder / "raw.h5ad", folder / "curated.h5ad", KEYS, params)
    return folder / "curated.h5ad"


def splits(obs: pd.DataFrame) -> dict[str, pd.Series]:
    """A covariate transfer, and the same with fewer cells to train on."""
    options = {"seed": 1, "max_heldout_covariates": 1, "max_heldout_fraction": 0.7}
    whole = make_split(obs, "transfer", KEYS, options)
    some = (whole == "train") & (obs["condition"] != "control") & (np.arange(len(obs)) % 3 == 0)
    return {"small": whole.mask(some, ""), "transfer": whole}


def metrics(task: str, model: str, seed: int) -> pd.DataFrame:
    """Metrics that are easy to average: the fit by task, the rank by model."""
    fit = {"small": 0.4, "transfer": 0.2}[task] + 0.1 * (seed - 1)
    rank = {"linear": 0.2, "additive": 0.5}[model] + 0.1 * (seed - 1)
    table = pd.DataFrame({"metric": ["rmse_average", "rmse_average_rank"], "value": [fit, rank], "model": model})
    return table.assign(dataset="norman19", task=task, split="test", seed=seed, cell_type="x", condition="A")


def register(folder: Path) -> None:
    """Register the curated file, the splits, and the metrics of two models."""
    import lamindb as ln

    from perturbench_lamin.lineage import artifacts, features

    features.save_features()
    transform = ln.Transform(key="small-data", kind="pipeline").save()
    ln.context._run = ln.Run(transform).save()
    path = curated(folder)
    artifacts.save(path, keys.curated("norman19"), "Small curated data")
    for task, split in splits(read_obs(path)).items():
        artifacts.save(write_split(split, folder / f"{task}.csv"), keys.split("norman19", task), f"Split {task}")
        for model in ("linear", "additive"):
            for seed in (1, 2):
                file = folder / f"{task}-{model}-{seed}.csv"
                metrics(task, model, seed).to_csv(file, index=False)
                artifacts.save(file, keys.metrics("norman19", task, model, seed), "Metrics")
    ln.context._run = None


def steps(folder: Path) -> list:
    """The search with its winner, and the figure of each experiment; what they read is registered already."""
    config = BenchmarkConfig(models=("linear",), tasks=("transfer",), seeds=(7,), max_epochs=2, accelerator="cpu")
    space = {"lr": {"low": 0.001, "high": 0.1, "log": True}}
    named = replace(DATASET, tasks=tuple(replace(DATASET.tasks[0], name=name) for name in ("transfer", "small")))
    search = tuning_steps(named, config, TuningConfig(trials=3, space=space), folder)
    both = replace(config, models=("linear", "additive"), tasks=TASKS, seeds=(1, 2))
    figures = [
        experiment_steps(EXPERIMENTS[name], named, both, folder)[-1] for name in ("scaling", "imbalance", "collapse")
    ]
    return [*pretraining(), *(registered(step) for step in (*search[2:-1], *figures)), *embedding_steps(folder)]


def pretraining() -> list[Step]:
    """Embeddings, and a model that takes them by their key."""
    data, perturbations = keys.curated("norman19"), keys.pretrained("norman19", "perturbations")
    about = {"dataset": "norman19", "task": "transfer", "model": "linear_embedding", "seed": 1}
    inputs = {"curated": data, "split": keys.split("norman19", "transfer")}
    return [
        Step(
            name="pretrain",
            notebook="training/pretrain.ipynb",
            params={"dataset": "norman19", "components": 3, "curated": data, "split": inputs["split"]},
            outputs=(keys.pretrained("norman19", "genes"), perturbations),
        ),
        Step(
            name="train pretrained",
            notebook="training/train.ipynb",
            params={**about, **inputs, "hyperparameters": {"perturbation_embedding": perturbations}},
            settings={"accelerator": "cpu"},
            outputs=(keys.best_checkpoint("norman19", "transfer", "linear_embedding", 1),),
        ),
    ]


def embedding_steps(folder: Path) -> list:
    """Embed the cells, and train a model that takes the embedding for its input."""
    weights, python = scgpt_stand_in.make(folder / "scgpt", [f"g{i:02d}" for i in range(60)])
    embed = Step(
        name="embed",
        notebook="training/embed_scgpt.ipynb",
        params={
            "dataset": "norman19",
            "curated": keys.curated("norman19"),
            "weights": str(weights),
            "scgpt_python": python,
        },
        settings={"accelerator": "cpu"},
        outputs=(keys.embedded("norman19", "scgpt"),),
    )
    train = Step(
        name="train on the embedding",
        notebook="training/train.ipynb",
        params={
            "dataset": "norman19",
            "task": "transfer",
            "model": "cpa",
            "label": EMBEDDED,
            "max_epochs": 2,
            "hyperparameters": {"embedding": "X_scgpt"},
            "split": keys.split("norman19", "transfer"),
        },
        inputs={"curated": Output("embed", embed.outputs[0])},
        settings={"accelerator": "cpu"},
        outputs=(keys.best_checkpoint("norman19", "transfer", EMBEDDED, 1),),
    )
    return [embed, train]


def registered(step):
    """The step with keys instead of what steps that are not run would have made."""
    own = ("curate", "evaluate linear seed", "evaluate additive seed")
    known = {
        name: [output.key for output in value] if isinstance(value, tuple) else value.key
        for name, value in step.inputs.items()
        if all(output.step.startswith(own) for output in (value if isinstance(value, tuple) else (value,)))
    }
    left = {name: value for name, value in step.inputs.items() if name not in known}
    return replace(step, params={**step.params, **known}, inputs=left)


def named(run) -> str:
    """A run's notebook, and what it made where that has a name of its own."""
    return " ".join(filter(None, (run.transform.key, (run.params or {}).get("label"))))


def main(folder: Path, notebooks: Path) -> None:
    """Run, and say what came of it."""
    with only_one(folder) as handle:
        instance = local_instance(folder)
        instance.connect()
        register(folder)
        results = run_chain(Chain("test", steps(folder), instance, notebooks, handle))
    import lamindb as ln

    runs = list(ln.Run.filter(transform__kind="notebook"))
    told = {
        "states": {result.step.name: result.state for result in results},
        "problems": [result.problem for result in results if result.problem],
        "artifacts": {
            artifact.key: {"path": str(artifact.path), "features": artifact.features.get_values()}
            for artifact in ln.Artifact.filter(is_latest=True).exclude(key=None)
        },
        "inputs": {named(run): sorted(run.input_artifacts.values_list("key", flat=True)) for run in runs},
        "trainings": {
            run.params["model"]: sorted(run.input_artifacts.values_list("key", flat=True))
            for run in runs
            if run.transform.key == "training/train.ipynb"
        },
        "weights": str(folder / "scgpt" / "weights"),
        "pictures": {
            run.transform.key: run.report.path.read_text().count('src="data:image/png;base64') for run in runs
        },
        "train_cells": {
            task: int((split == "train").sum()) for task, split in splits(read_obs(folder / "curated.h5ad")).items()
        },
    }
    print("TOLD" + json.dumps(told, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
