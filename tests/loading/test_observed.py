from __future__ import annotations

import numpy as np
import pytest
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.observed import read_observed
from perturbench_lamin.splitting.io import write_split


def test_the_truth_is_one_part_and_the_training_another(tmp_path):
    data = Tiny().data()
    split = random_split(data)
    curated, file = write(data, tmp_path / "tiny.h5ad"), write_split(split, tmp_path / "split.csv")
    truth, training, keys = read_observed(curated, file, "val")
    assert keys == data.info.keys
    for found, part in ((truth, "val"), (training, "train")):
        chosen = (split == part).to_numpy()
        np.testing.assert_array_equal(found.X.toarray(), data.X[chosen].toarray())
        assert found.obs_names.tolist() == data.obs.index[chosen].tolist()


def test_a_part_that_cannot_be_a_truth_names_the_split(tmp_path):
    data = Tiny().data()
    curated, split = write(data, tmp_path / "tiny.h5ad"), random_split(data)
    write_split(split.replace("test", "train"), tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"No cell is in test \[.*none.csv\]\n  Its parts: train, val"):
        read_observed(curated, tmp_path / "none.csv")
    control = (data.obs["condition"] == "control") & (data.obs["cell_type"] == "RPE1")
    write_split(split.mask(control, "train"), tmp_path / "bare.csv")
    with pytest.raises(InputError, match=r"(?s)RPE1.*bare.csv, test cells|bare.csv, test cells.*RPE1"):
        read_observed(curated, tmp_path / "bare.csv")
