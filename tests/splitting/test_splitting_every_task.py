"""What every task must keep, on one table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from splitting_tables import TWO, params_of, screen

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.io import read_split, write_split
from perturbench_lamin.splitting.tasks import TASKS, make_split

COLUMNS = ("cell_type", "treatment")
KEYS = ObsKeys(covariates=COLUMNS)


@pytest.fixture
def obs():
    return screen(TWO, COLUMNS)


def split_of(obs: pd.DataFrame, task: str, seed: int = 5) -> pd.Series:
    return make_split(obs, task, KEYS, params_of(task, 2, seed))


@pytest.mark.parametrize("task", TASKS)
def test_perturbed_cells_of_a_pair_go_together_and_the_table_is_left_alone(task, obs):
    before = obs.copy()
    split = split_of(obs, task)
    assert obs.equals(before)
    assert split.index.equals(obs.index)
    assert split.name == "split"
    perturbed = obs.assign(split=split)[(obs["condition"] != "control").to_numpy()]
    assert (perturbed.groupby(["condition", *COLUMNS])["split"].nunique() == 1).all()
    for part in ("train", "val", "test"):
        assert (perturbed["split"] == part).any()
        assert (split[obs["condition"] == "control"] == part).any()


@pytest.mark.parametrize("task", TASKS)
def test_names_of_cells_and_unused_categories_change_nothing(task, obs):
    split = split_of(obs, task)
    renamed = obs.rename("other {}".format)
    assert split_of(renamed, task).tolist() == split.tolist()
    for column in ("condition", *COLUMNS):
        renamed[column] = pd.Categorical(renamed[column], sorted({*obs[column], "aaa", "zzz"}))
    assert split_of(renamed, task).tolist() == split.tolist()


@pytest.mark.parametrize("task", TASKS)
def test_the_seed_matters(task, obs):
    assert not split_of(obs, task, 1).equals(split_of(obs, task, 2))


@pytest.mark.parametrize("task", TASKS)
def test_survives_its_file(task, obs, tmp_path):
    split = split_of(obs, task)
    path = write_split(split, tmp_path / "split.csv")
    assert read_split(path, obs.index).equals(split)
    assert np.array_equal(read_split(path, obs.index[::-1]), split[::-1])
