from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.families import family_table


def test_what_splits_of_a_family_train_on():
    obs = pd.DataFrame(
        {"condition": ["control", "A", "B", "control", "A", "B"], "line": ["x", "x", "x", "y", "y", "y"]},
        index=[f"c{i}" for i in range(6)],
    )
    full = pd.Series(["train", "train", "val", "train", "train", "test"], index=obs.index)
    small = pd.Series(["train", "train", "val", "train", "", "test"], index=obs.index)
    other = pd.Series(["train", "train", "test", "", "", ""], index=obs.index)
    table = family_table(obs, ObsKeys(covariates=("line",)), {"full": full, "small": small, "other": other})
    assert table.index.tolist() == ["full", "small", "other"]
    assert table["train"].tolist() == [4, 3, 2]
    assert table["train_states"].tolist() == [2, 2, 1]
    assert table["train_conditions"].tolist() == [2, 2, 2]
    assert table["same_test"].tolist() == [True, True, False]
    shares = np.array([3, 2]) / 5
    wanted = -(shares * np.log(shares)).sum() / np.log(2)
    assert table["balance"].tolist() == pytest.approx([1.0, wanted, 1.0], abs=1e-6)
