from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.dataset import Task
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.every_task import make_frozen_split, make_splits
from perturbench_lamin.splitting.tasks import make_split

KEYS = ObsKeys()


@pytest.fixture
def obs():
    conditions = np.repeat(["control", "A", "B", "C", "D", "A+B", "A+C", "B+C", "B+D", "C+D", "D+E"], 6)
    return pd.DataFrame({"condition": conditions, "cell_type": "x"}, index=[f"c{i}" for i in range(len(conditions))])


def test_every_task_that_can_be_made_is_made_and_the_others_say_why(obs):
    combine = Task("combine", "combine", ("cell_type",), {"max_heldout_fraction": 0.9}, seed=2)
    tasks = [combine, Task("transfer", "transfer", ("cell_type",)), Task("unseen", "unseen", ("cell_type",))]
    made = make_splits(obs, KEYS, tasks)
    assert set(made.splits) | set(made.not_made["task"]) == {"combine", "transfer", "unseen"}
    assert "transfer" in set(made.not_made["task"]), "one state: nothing can be transferred"
    plain = make_split(obs, "combine", KEYS, combine.options)
    changed = made.splits["combine"] != plain
    assert set(obs["condition"][changed]) <= {"D+E"}, "only what no model could predict is excluded"
    assert set(made.excluded.loc[made.excluded["task"] == "combine", "condition"]) == set(obs["condition"][changed])
    assert made.cells().sum(axis=1).eq(len(obs)).all()


def test_one_split_is_the_same_whether_made_alone_or_with_the_others(obs):
    combine = Task("combine", "combine", ("cell_type",), {"max_heldout_fraction": 0.9}, seed=2)
    made, alone = make_splits(obs, KEYS, [combine]), make_frozen_split(obs, "combine", KEYS, combine.options)
    assert alone.parts.equals(made.splits["combine"])
    assert alone.excluded.equals(made.excluded.drop(columns="task"))
    assert len(alone.excluded), "there is something to exclude"
    options = {"seed": 1, "max_heldout_fraction": 0.5}
    unseen = make_frozen_split(obs, "unseen", KEYS, options)
    assert unseen.excluded.empty, "what that task asks for is unseen by definition"
    assert unseen.parts.equals(make_split(obs, "unseen", KEYS, options))
    kept = make_frozen_split(obs, "combine", KEYS, combine.options, keep_unpredictable=True)
    assert kept.parts.equals(make_split(obs, "combine", KEYS, combine.options))
    assert kept.excluded.empty


def test_a_part_of_which_nothing_can_be_predicted_is_told(caplog):
    obs = pd.DataFrame({"condition": ["control"] * 4 + ["A", "B", "A"], "cell_type": "x"}, index=list("abcdefg"))
    obs["split"] = ["control"] * 4 + ["train", "val", "test"]
    made = make_frozen_split(obs, "predefined", KEYS)
    assert made.excluded["condition"].tolist() == ["B"]
    assert made.parts["f"] == ""
    assert "No perturbed cell of val can be predicted" in caplog.text
    with pytest.raises(InputError, match="No perturbed cell of val can be predicted"):
        make_splits(obs, KEYS, [Task("given", "predefined", ())])


def test_a_part_without_a_cell_is_counted_as_none():
    obs = pd.DataFrame({"condition": ["control"] * 4 + ["A", "B", "C"], "cell_type": "x"}, index=list("abcdefg"))
    obs["split"] = ["control"] * 4 + ["train", "val", "test"]
    made = make_splits(obs.replace({"condition": {"B": "A", "C": "A"}}), KEYS, [Task("given", "predefined", ())])
    assert made.cells().loc["given"].to_dict() == {"train": 3, "val": 2, "test": 2, "excluded": 0}


def test_the_main_task_must_succeed(obs):
    with pytest.raises(InputError):
        make_splits(obs, KEYS, [Task("transfer", "transfer", ("cell_type",))])


@pytest.mark.parametrize(
    ("task", "params"),
    [("predefined", {"column": "absent"}), ("combine", {"max_heldout_fraction": 0.5}), ("transfer", {})],
)
def test_what_a_table_cannot_give_is_said_with_its_file(task, params):
    obs = pd.DataFrame({"condition": ["control", "A"] * 3}, index=[f"c{i}" for i in range(6)])
    with pytest.raises(InputError, match=r"\[folder/cells\.csv"):
        make_frozen_split(obs, task, ObsKeys(covariates=()), params, where="folder/cells.csv")
