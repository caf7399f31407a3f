from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.dataset import Task
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.every_task import make_splits
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


def test_the_main_task_must_succeed(obs):
    with pytest.raises(InputError):
        make_splits(obs, KEYS, [Task("transfer", "transfer", ("cell_type",))])
