"""The catalog's tasks on tables with the structure of the published ones: the counts that the benchmark prints."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from splitting_tables import conditions_by_part, grid, table

from perturbench_lamin.catalog.datasets import DATASETS, get_dataset
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.tasks import make_split

LINES = ("a172", "t98g", "u87mg")
DRUGS = ("lapatinib", "nintedanib", "none", "trametinib", "zstk474")
JIANG_LINES = ("a549", "bxpc3", "hap1", "ht29", "k562", "mcf7")
JIANG_TOTALS = {"IFNB": 62, "IFNG": 60, "TNFA": 56, "TGFB": 53, "INS": 45}
DMSO = {"T": (8432, 4216, 4216), "NK": (978, 489, 490), "B": (2198, 1099, 1099), "Myeloid": (2617, 1309, 1309)}


def names(count: int) -> list[str]:
    return [f"g{number:03d}" for number in range(count)]


def norman() -> pd.DataFrame:
    singles = names(105)
    pairs = [f"{a}+{b}" for place, a in enumerate(singles) for b in singles[place + 1 : place + 4]][:131]
    return grid([*singles, *pairs], [("k562",)], ("cell_type",))


def jiang() -> pd.DataFrame:
    parts = [
        grid([f"{drug}{name}" for name in names(total - 1)], [(line, drug)], ("cell_type", "treatment"))
        for line, (drug, total) in product(JIANG_LINES, JIANG_TOTALS.items())
    ]
    return pd.concat(parts, ignore_index=True).rename("cell{}".format)


def op3() -> pd.DataFrame:
    """Control cells as many as published; three compounds in each part of every cell type, one of them small."""
    rows = [("C[S+](C)[O-]", kind, "control") for kind, counts in DMSO.items() for _ in range(sum(counts))]
    for kind, part in product(DMSO, ("train", "public_test", "private_test", "control")):
        for number, count in enumerate((100, 130, 99)):
            rows += [(f"C{part}({number})", kind, part)] * count
    obs = pd.DataFrame(rows, columns=["condition", "cell_type", "split"])
    return obs.sample(frac=1, random_state=0).rename("cell{}".format)


TABLES = {
    "norman19": norman,
    "srivatsan20": lambda: grid(names(188), [("mcf7",), ("a549",), ("k562",)], ("cell_type",)),
    "frangieh21": lambda: grid(names(248), [("IFNγ",), ("co-culture",), ("none",)], ("treatment",)),
    "mcfaline24": lambda: grid(names(528), list(product(LINES, DRUGS)), ("cell_type", "treatment")),
    "jiang25": jiang,
    "szalata24": op3,
}
CASES = [(dataset.name, task.name) for dataset in DATASETS.values() for task in dataset.tasks]


def split_of(dataset: str, task: str, obs: pd.DataFrame | None = None) -> tuple[pd.DataFrame, pd.Series]:
    obs = TABLES[dataset]() if obs is None else obs
    wanted = get_dataset(dataset).task(task)
    control = "C[S+](C)[O-]" if dataset == "szalata24" else "control"
    keys = ObsKeys(covariates=wanted.covariates, control=control, delimiter="+" if dataset == "norman19" else None)
    return obs, make_split(obs, wanted.method, keys, wanted.options)


def counts_of(dataset: str, task: str) -> dict[tuple[str, ...], tuple]:
    obs, split = split_of(dataset, task)
    return conditions_by_part(obs, split, get_dataset(dataset).covariates)


@pytest.mark.parametrize(("dataset", "task"), CASES)
def test_every_task_of_the_catalog_makes_a_split(dataset, task):
    obs, split = split_of(dataset, task)
    assert split.index.equals(obs.index)
    assert {"train", "val", "test"} <= set(split) <= {"train", "val", "test", ""}


def test_srivatsan_transfer():
    assert counts_of("srivatsan20", "transfer") == {
        ("a549",): (132, 30, 29),
        ("k562",): (132, 29, 30),
        ("mcf7",): (132, 29, 30),
    }


def test_srivatsan_demonstration():
    obs = TABLES["srivatsan20"]()
    split = make_split(obs, "transfer", ObsKeys(), {"seed": 1, "max_heldout_covariates": 1})
    lines = obs[(split == "train").to_numpy()].groupby("condition")["cell_type"].nunique().drop("control")
    assert lines.value_counts().to_dict() == {2: 171, 3: 17}  # the benchmark counts the control among the latter


def test_norman_combine():
    assert counts_of("norman19", "combine") == {("k562",): (146, 46, 47)}


@pytest.mark.parametrize(("fraction", "counts"), [(0.3, (198, 20, 21)), (0.7, (146, 46, 47))])
def test_norman_demonstration(fraction, counts):
    obs = TABLES["norman19"]()
    split = make_split(obs, "combine", ObsKeys(), {"seed": 0, "max_heldout_fraction": fraction})
    assert conditions_by_part(obs, split, ("cell_type",)) == {("k562",): counts}


def test_frangieh_transfer():
    assert counts_of("frangieh21", "transfer") == {
        ("IFNγ",): (249, 1, 1),
        ("co-culture",): (76, 87, 88),
        ("none",): (249, 1, 1),
    }


def test_jiang_transfer():
    """Twelve states lose 70 % of their conditions, by cytokine; which of val and test gets an odd one is the seed's."""
    train = {"IFNG": 19, "INS": 15, "TGFB": 17}
    held = {"IFNG": [(21, 22), (22, 21)], "INS": [(16, 16)], "TGFB": [(19, 19)]}
    for (line, drug), counts in counts_of("jiang25", "transfer").items():
        if line in ("k562", "mcf7", "ht29", "hap1") and drug in held:
            assert counts[0] == train[drug]
            assert counts[1:] in held[drug]
        else:
            assert counts == (JIANG_TOTALS[drug], 1, 1)


def test_op3_deals_the_published_numbers_of_controls():
    obs, split = split_of("szalata24", "transfer")
    control = obs["condition"] == "C[S+](C)[O-]"
    for kind, counts in DMSO.items():
        dealt = split[(control & (obs["cell_type"] == kind)).to_numpy()].value_counts()
        assert tuple(dealt[["train", "val", "test"]]) == counts


def test_op3_takes_over_the_depositors_assignment():
    obs, split = split_of("szalata24", "transfer")
    wanted = obs["split"].map({"public_test": "val", "private_test": "test"}).fillna("train")
    small = wanted.isin(["val", "test"]) & obs["condition"].str.endswith("(2)")  # 99 cells in each cell type
    compound = (obs["condition"] != "C[S+](C)[O-]").to_numpy()
    assert split[compound].tolist() == wanted.mask(small, "")[compound].tolist()
    assert (split == "").sum() == 4 * 2 * 99


@pytest.mark.parametrize(("size", "n_states"), [("small", 6), ("medium", 9), ("full", 15)])
def test_mcfaline_scaling_by_covariates(size, n_states):
    obs, split = split_of("mcfaline24", f"scaling-{size}")
    held = split[(obs["condition"] != "control").to_numpy()]
    assert ((held == "val").sum(), (held == "test").sum()) == (553, 554)
    by_state = conditions_by_part(obs, split, ("cell_type", "treatment"))
    lost = {("a172", "nintedanib"), ("t98g", "lapatinib"), ("u87mg", "none")}
    assert {state for state, counts in by_state.items() if counts[0]} >= lost
    assert sum(counts[0] > 0 for counts in by_state.values()) == n_states
    for state, (train, val, test) in by_state.items():
        if state in lost:
            assert (train, val + test) == (528 - 369 + 1, 369 + 2)
        else:
            assert (train, val, test) in {(529, 0, 0), (0, 0, 0)}


@pytest.mark.parametrize("family", ["scaling", "scaling-perturbations"])
def test_mcfaline_scaling_is_nested_with_the_same_val_and_test_cells(family):
    obs = TABLES["mcfaline24"]()
    small, medium, full = (split_of("mcfaline24", f"{family}-{size}", obs)[1] for size in ("small", "medium", "full"))
    for smaller, larger in ((small, medium), (medium, full)):
        for part in ("val", "test"):
            assert (smaller == part).equals(larger == part)
        assert set(smaller.index[smaller == "train"]) < set(larger.index[larger == "train"])
    assert "" not in set(full)


def test_mcfaline_scaling_by_perturbations():
    obs = TABLES["mcfaline24"]()
    for size, count in (("small", 132), ("medium", 264), ("full", 528)):
        split = split_of("mcfaline24", f"scaling-perturbations-{size}", obs)[1]
        assert obs["condition"][split == "train"].nunique() == count + 1
        assert obs["condition"][split.isin(["val", "test"])].nunique() <= 132 + 1


@pytest.mark.parametrize(
    ("percent", "counts"), [(100, (189, 189, 189)), (90, (189, 51, 118)), (80, (189, 82, 31)), (70, (189, 34, 34))]
)
def test_srivatsan_imbalance_keeps_the_published_numbers_of_drugs(percent, counts):
    obs, split = split_of("srivatsan20", f"balance-{percent}")
    kept = obs[(split != "").to_numpy()].groupby("cell_type")["condition"].nunique()
    # The control is kept beside the numbers drawn where it is not among those conditions.
    assert all(0 <= kept[line] - count <= 1 for line, count in zip(("a549", "k562", "mcf7"), counts, strict=True))
    held = obs[split.isin(["val", "test"]).to_numpy() & (obs["condition"] != "control").to_numpy()]
    assert held.groupby("condition")["cell_type"].nunique().max() == 1


def test_names_with_the_separators_of_others_are_safe():
    states = list(product(("a_b", "a"), ("c", "b_c", "a")))
    obs = table({(condition, state): 2 for state in states for condition in ("control", *names(9))}, ("one", "two"))
    obs = pd.concat([obs, obs.rename("again {}".format)])
    keys = ObsKeys(covariates=("one", "two"), delimiter=None)
    params = {"heldout_states": [("a_b", "c"), ("a", "a")], "train_states": [("a", "b_c")]}
    split = make_split(obs, "scaling", keys, params)
    states_in = (
        obs.assign(split=split).groupby("split")[["one", "two"]].apply(lambda rows: set(map(tuple, rows.values)))
    )
    assert states_in["val"] == states_in["test"] == {("a_b", "c"), ("a", "a")}
    assert states_in["train"] == {("a_b", "c"), ("a", "a"), ("a", "b_c")}
    assert np.isin(split[(obs["one"] == "a") & (obs["two"] == "c")], "").all()
