"""How a table is stored, or in which order, changes no result: categories, types, formats, rows, columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from calling import call
from scipy import sparse

from perturbench_lamin.catalog.dataset import Task
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.every_task import make_splits
from perturbench_lamin.splitting.io import read_split, write_split
from perturbench_lamin.splitting.tasks import TASKS, make_split

KEYS = ("--covariate-key", "cell_type", "--control", "ctrl")
GENES = ("--hvg", 15, "--degs", 4, "--min-cells", 3)
SINGLES = [f"G{number:02d}" for number in range(1, 9)]
PAIRS = [f"{one}+{other}" for one, other in itertools.pairwise(SINGLES)]
MORE = {
    "manual": ("--param", 'heldout_states=["b", "c"]'),
    "predefined": ("--param", "column=part", "--param", "unassigned=ctrl"),
    "scaling": ("--param", 'heldout_states=["b"]', "--param", 'train_states=["c"]'),
    "scaling-perturbations": ("--param", "level=1", "--param", "shares=[0.9, 0.9]", "--max-heldout-covariates", 1),
    "imbalance": ("--param", "balance=0.97", "--param", "min_conditions=6", "--param", "tolerance=0.02"),
    "transfer": ("--max-heldout-covariates", 1),
}


def deposit() -> ad.AnnData:
    rng = np.random.default_rng(5)
    rows = [(condition, state) for state in "cab" for condition in ("ctrl", *SINGLES, *PAIRS)]
    obs = pd.DataFrame(
        [row for row in rows for _ in range(12 if row[0] == "ctrl" else 5)], columns=["condition", "cell_type"]
    )
    obs["part"] = obs["condition"].map(lambda name: {"G01": "val", "G02": "test", "ctrl": "ctrl"}.get(name, "train"))
    obs.index = [f"cell{number}" for number in range(len(obs))]
    effects = {name: rng.lognormal(0, 0.6, 40) for name in ("ctrl", *SINGLES, *PAIRS)}
    means = rng.gamma(1.0, 3.0, 40) * np.stack([effects[name] for name in obs["condition"]])
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    return ad.AnnData(counts, obs.astype("category"), pd.DataFrame(index=[f"G{number:02d}" for number in range(40)]))


def shuffled_categories(data: ad.AnnData) -> ad.AnnData:
    for name in ("condition", "cell_type", "part"):
        if name in data.obs:
            values = data.obs[name].astype(str)
            data.obs[name] = pd.Categorical(values, ["zzz", *np.random.default_rng(2).permutation(sorted(set(values)))])
    return data


def stored_as(form: Callable) -> Callable:
    def change(data: ad.AnnData) -> ad.AnnData:
        data.X = form(data.X)
        return data

    return change


FORMS = {
    "categories": shuffled_categories,
    "text": lambda data: ad.AnnData(data.X, data.obs.astype(str), data.var, uns=data.uns, layers=data.layers),
    "by column": stored_as(sparse.csc_matrix),
    "dense": stored_as(lambda X: X.toarray()),
    "float64": stored_as(lambda X: X.astype(np.float64)),
}
COUNTS = FORMS | {"int64": stored_as(lambda X: X.astype(np.int64)), "uint8": stored_as(lambda X: X.astype(np.uint8))}


def written(data: ad.AnnData, path):
    data.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A deposit, its curated file, a split, a model and its prediction."""
    folder = tmp_path_factory.mktemp("made")
    raw = written(deposit(), folder / "raw.h5ad")
    call("preprocess", raw, *KEYS, *GENES, "--out", folder / "curated.h5ad")
    call("split", raw, "--task", "combine", *KEYS, "--seed", 1, "--out", folder / "split.csv")
    predict(folder / "curated.h5ad", folder / "split.csv", folder)
    return folder


def predict(curated, split, folder):
    model = ("--model", "additive", "--accelerator", "cpu", "--out", folder / "run")
    call("train", curated, "--split", split, *model)
    checkpoint = folder / "run/best.ckpt"
    out = ("--kind", "mean", "--accelerator", "cpu", "--out", folder / "prediction.h5ad")
    call("predict", checkpoint, "--curated", curated, "--split", split, *out)
    return ad.read_h5ad(folder / "prediction.h5ad")


@pytest.mark.parametrize("form", COUNTS)
def test_preprocess(form, made, tmp_path):
    raw = written(COUNTS[form](deposit()), tmp_path / "raw.h5ad")
    call("preprocess", raw, *KEYS, *GENES, "--out", tmp_path / "curated.h5ad")
    one, other = (ad.read_h5ad(folder / "curated.h5ad") for folder in (made, tmp_path))
    assert other.obs.astype(str).equals(one.obs.astype(str))
    assert other.obs[["condition", "cell_type"]].equals(one.obs[["condition", "cell_type"]])
    assert other.var.equals(one.var)
    for left, right in ((one.X, other.X), (one.layers["counts"], other.layers["counts"])):
        assert (left != right).nnz == 0
    assert other.uns["perturbench_degs"].equals(one.uns["perturbench_degs"])


def test_preprocess_with_cells_and_genes_in_another_order(made, tmp_path):
    data, draw = deposit(), np.random.default_rng(1)
    raw = written(data[draw.permutation(data.n_obs), draw.permutation(data.n_vars)].copy(), tmp_path / "raw.h5ad")
    call("preprocess", raw, *KEYS, *GENES, "--out", tmp_path / "curated.h5ad")
    one, other = (ad.read_h5ad(folder / "curated.h5ad") for folder in (made, tmp_path))
    assert other.var_names.equals(one.var_names)
    other = other[one.obs_names]
    assert other.obs.equals(one.obs)
    assert (one.X != other.X).nnz == 0
    pd.testing.assert_frame_equal(other.var, one.var)
    degs, same = one.uns["perturbench_degs"], other.uns["perturbench_degs"]
    pd.testing.assert_frame_equal(same, degs)


@pytest.mark.parametrize("task", TASKS)
def test_split(task, tmp_path):
    raw = deposit()
    more = ("--seed", 3, *MORE.get(task, ()), "--keep-unpredictable")
    files = {form: written(FORMS[form](deposit()), tmp_path / f"{form}.h5ad") for form in ("categories", "text")}
    files["plain"] = written(raw, tmp_path / "plain.h5ad")
    files["csv"] = tmp_path / "obs.csv"
    raw.obs.to_csv(files["csv"])
    texts = {}
    for name, path in files.items():
        call("split", path, "--task", task, *KEYS, *more, "--out", tmp_path / f"{name}.split")
        texts[name] = (tmp_path / f"{name}.split").read_text()
    assert len(set(texts.values())) == 1, list(texts)


@pytest.mark.parametrize("task", ["transfer", "unseen"])
def test_the_order_of_cells_within_states_moves_controls_alone(task, tmp_path):
    raw = deposit()
    order = np.concatenate(
        [np.random.default_rng(4).permutation(np.flatnonzero(raw.obs["cell_type"] == state)) for state in "cab"]
    )
    parts = []
    for number, data in enumerate((raw, raw[order].copy())):
        path = written(data, tmp_path / f"{number}.h5ad")
        more = ("--seed", 3, *MORE.get(task, ()))
        call("split", path, "--task", task, *KEYS, *more, "--out", tmp_path / "split.csv")
        split = pd.read_csv(tmp_path / "split.csv", header=None, index_col=0, keep_default_na=False)[1]
        parts.append(split[raw.obs_names[raw.obs["condition"] != "ctrl"]])
    assert parts[0].equals(parts[1])


@pytest.mark.parametrize("form", ["categories", "text"])
def test_train_and_predict(form, made, tmp_path):
    curated = written(FORMS[form](ad.read_h5ad(made / "curated.h5ad")), tmp_path / "curated.h5ad")
    one, other = ad.read_h5ad(made / "prediction.h5ad"), predict(curated, made / "split.csv", tmp_path)
    assert other.obs.equals(one.obs)
    np.testing.assert_array_equal(other.X, one.X)


@pytest.mark.parametrize("form", [*FORMS, "rows and columns"])
def test_evaluate(form, made, tmp_path):
    curated = ad.read_h5ad(made / "curated.h5ad")
    del curated.layers["counts"]
    prediction = ad.read_h5ad(made / "prediction.h5ad")
    draw = np.random.default_rng(7)

    def change(data: ad.AnnData) -> ad.AnnData:
        if form != "rows and columns":
            return FORMS[form](data) if sparse.issparse(data.X) or form in ("categories", "text") else data
        return data[draw.permutation(data.n_obs), draw.permutation(data.n_vars)].copy()

    tables = []
    for number, changed in enumerate((lambda data: data, change)):
        truth = written(changed(curated.copy()), tmp_path / f"truth{number}.h5ad")
        mine = written(changed(prediction.copy()), tmp_path / f"mine{number}.h5ad")
        out = ("--allow-missing", "--profile", "full", "--device", "cpu", "--out", tmp_path / f"{number}.csv")
        call("evaluate", "--truth", truth, "--prediction", f"m={mine}", *KEYS, *out)
        tables.append(pd.read_csv(tmp_path / f"{number}.csv"))
    pd.testing.assert_frame_equal(tables[1], tables[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", ["categories", "text", "by column", "dense"])
def test_compare(form, made, tmp_path):
    other = written(FORMS[form](deposit()), tmp_path / "other.h5ad")
    assert "identical" in call("compare", made / "raw.h5ad", other).lower()


def test_the_verb_makes_the_split_of_the_notebooks_and_lists_what_it_excludes(tmp_path):
    data = deposit()
    data = data[~data.obs["condition"].isin(["G05", "G06"])].copy()  # G05+G06 can be held out with all of both genes
    path = written(data, tmp_path / "raw.h5ad")
    keys = ObsKeys(covariates=("cell_type",), control="ctrl")
    options = {"seed": 2, "max_heldout_fraction": 0.9}
    made = make_splits(data.obs, keys, [Task("main", "combine", ("cell_type",), options, seed=2)])
    more = ("--seed", 2, "--max-heldout-fraction", 0.9)
    said = call("split", path, "--task", "combine", *KEYS, *more, "--out", tmp_path / "split.csv")
    assert read_split(tmp_path / "split.csv", data.obs_names).equals(made.splits["main"])
    excluded = made.excluded.drop(columns="task")
    assert len(excluded)
    assert excluded.to_string(index=False) in said
    call("split", path, "--task", "combine", *KEYS, *more, "--keep-unpredictable", "--out", tmp_path / "raw.csv")
    drawn = read_split(tmp_path / "raw.csv", data.obs_names)
    assert drawn.equals(make_split(data.obs, "combine", keys, options))
    assert not drawn.equals(made.splits["main"])


def test_training_tells_what_it_shows_of_the_held_out_conditions(made, tmp_path, caplog):
    names = ad.read_h5ad(made / "curated.h5ad").obs_names
    leaking = pd.Series([("train", "val", "test")[number % 3] for number in range(len(names))], index=names)
    write_split(leaking, tmp_path / "leaking.csv")
    predict(made / "curated.h5ad", tmp_path / "leaking.csv", tmp_path)
    said = [record.getMessage() for record in caplog.records]
    told = [f"{len(SINGLES + PAIRS)} conditions of {part} are in train in the same state" for part in ("val", "test")]
    assert all(any(line.startswith(one) for line in said) for one in told)
    caplog.clear()
    predict(made / "curated.h5ad", made / "split.csv", tmp_path / "sound")
    assert "are in train" not in caplog.text
