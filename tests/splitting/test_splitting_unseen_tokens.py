"""Excluding what no model can predict."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from splitting_tables import screen, table

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.obs import read_obs
from perturbench_lamin.splitting.tasks import make_split
from perturbench_lamin.splitting.unseen_tokens import exclude_unpredictable

KEYS = ObsKeys(covariates=("cell_type", "treatment"))
STATES = [("a", "x"), ("a", "y"), ("x", "y")]
CONDITIONS = ["control", "g1", "g2", "g1+g2", "g2+g1", "g3", "g2+control"]


def plain(obs: pd.DataFrame, split: pd.Series) -> list[str]:
    """Cell by cell, as the rule says it."""
    trained = obs[(split == "train").to_numpy()]
    tokens = {token for condition in trained["condition"] for token in condition.split("+")} | {"control"}
    values = {column: set(trained[column]) for column in KEYS.covariates}
    kept = []
    for (_, row), part in zip(obs.iterrows(), split, strict=True):
        known = set(row["condition"].split("+")) <= tokens and all(row[name] in values[name] for name in values)
        kept.append(part if known or part not in ("val", "test") else "")
    return kept


def by_tokens(rows: pd.DataFrame) -> dict:
    """Cells by the tokens of their condition, which may have several names, state and part."""
    tokens = rows["condition"].map(lambda name: "+".join(sorted(set(name.split("+")) - {"control"})))
    return rows.groupby([tokens, *KEYS.covariates, "split"])["cells"].sum().to_dict()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_agrees_with_the_rule_read_cell_by_cell(data):
    rows = data.draw(st.lists(st.tuples(st.sampled_from(CONDITIONS), st.sampled_from(STATES)), min_size=2, max_size=25))
    obs = pd.DataFrame([(condition, *state) for condition, state in rows], columns=["condition", *KEYS.covariates])
    obs.index = [f"cell{number}" for number in range(len(obs))]
    parts = st.sampled_from(["train", "train", "val", "test", ""])
    split = pd.Series([data.draw(parts) for _ in rows], index=obs.index, dtype=object)
    assume((split == "train").any())
    wanted = pd.Series(plain(obs, split), index=obs.index, dtype=object)
    perturbed = obs["condition"] != "control"
    if any((perturbed & (split == part)).any() > (perturbed & (wanted == part)).any() for part in ("val", "test")):
        with pytest.raises(InputError, match=r"No perturbed cell of (val|test) can be predicted"):
            exclude_unpredictable(obs, split, KEYS)
        return
    kept, excluded = exclude_unpredictable(obs, split, KEYS)
    assert kept.equals(wanted)
    changed = obs.assign(split=split)[(kept != split).to_numpy()]
    assert by_tokens(excluded) == by_tokens(changed.assign(cells=1))
    assert excluded.columns.tolist() == ["condition", *KEYS.covariates, "split", "cells", "why"]


def test_says_why():
    state = ("a", "x")
    obs = table({(c, state): 2 for c in ("control", "g1", "g2+g3", "g1+g1")} | {("g1", ("b", "y")): 3}, KEYS.covariates)
    split = obs["condition"].map({"control": "train", "g1": "train", "g2+g3": "test", "g1+g1": "test"})
    split[(obs["cell_type"] == "b").to_numpy()] = "val"
    split[obs.index[(obs["condition"] == "g1").to_numpy()][0]] = "val"
    kept, excluded = exclude_unpredictable(obs, split, KEYS)
    assert excluded.to_numpy().tolist() == [
        ["g1", "b", "y", "val", 3, "not in train: cell_type b, treatment y"],
        ["g2+g3", "a", "x", "test", 2, "not in train: perturbation g2, perturbation g3"],
    ]
    assert (kept == "").sum() == 5


@pytest.mark.parametrize("task", ["transfer", "combine"])
def test_leaves_a_split_alone_where_all_can_be_predicted(task):
    obs = screen([("a",), ("b",), ("c",)])
    split = make_split(obs, task, ObsKeys())
    before = split.copy()
    kept, excluded = exclude_unpredictable(obs, split, ObsKeys())
    assert kept.equals(before)
    assert split.equals(before)
    assert excluded.empty


def test_control_cells_go_with_their_state():
    obs = table({(c, (s,)): 2 for c in ("control", "g1", "g2") for s in "ab"})
    split = obs["condition"].map({"control": "test", "g1": "train", "g2": "test"}).mask(obs["cell_type"] == "b", "test")
    split[obs.index[(obs["cell_type"] == "a") & (obs["condition"] == "g2")]] = "train"
    with pytest.raises(InputError, match="No perturbed cell of test"):
        exclude_unpredictable(obs, split, ObsKeys())
    split[obs.index[(obs["cell_type"] == "a") & (obs["condition"] == "g2")][0]] = "test"
    kept, excluded = exclude_unpredictable(obs, split, ObsKeys())
    assert (kept[obs["cell_type"] == "b"] == "").all()
    assert excluded["condition"].tolist() == ["control", "g1", "g2"]
    assert set(kept[(obs["cell_type"] == "a") & (obs["condition"] == "control")]) == {"test"}


def test_unseen_perturbations_are_named_as_what_they_are():
    obs = screen([("a",), ("b",)])
    with pytest.raises(InputError, match=r"No perturbed cell of val can be predicted(.|\n)*not in train: perturbation"):
        exclude_unpredictable(obs, make_split(obs, "unseen", ObsKeys()), ObsKeys())


def test_a_split_without_training_cells_or_of_other_cells_is_an_error():
    obs = screen([("a",)])
    with pytest.raises(InputError, match="No cell is in train"):
        exclude_unpredictable(obs, pd.Series("test", index=obs.index), ObsKeys())
    with pytest.raises(InputError, match="same cells in the same order"):
        exclude_unpredictable(obs, pd.Series("train", index=obs.index[::-1]), ObsKeys())


def test_real_pairs_whose_genes_are_never_seen(shared_file):
    obs = read_obs(shared_file("data/raw/norman19/NormanWeissman2019_filtered.h5ad"))
    obs = pd.DataFrame({"condition": obs["perturbation"].astype(str).str.replace("_", "+"), "cell_type": "k562"})
    split = make_split(obs, "combine", ObsKeys(), {"seed": 42, "max_heldout_fraction": 0.7})
    kept, excluded = exclude_unpredictable(obs, split, ObsKeys())
    assert "CEBPE+RUNX1T1" in set(excluded["condition"])
    assert excluded["cells"].sum() == (kept != split).sum() == 600
    again, nothing = exclude_unpredictable(obs, kept, ObsKeys())
    assert again.equals(kept)
    assert nothing.empty
