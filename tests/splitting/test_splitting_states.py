"""Splits of a folder of the reference's, such as ``combine`` over states that name their conditions in another order.

The folder is ``GOLDEN_SPLITS``, or that of the shared reference data: tables ``<data>_obs.csv.gz``, splits
``<data>__<name>.csv.gz``, and ``manifest.json``, which says how each was made.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.tasks import make_split

FOLDER = Path(
    os.environ.get("GOLDEN_SPLITS") or Path(__file__).resolve().parents[3] / "shared" / "golden" / "splits_states"
)
TASK_OF = {
    "split_covariates": "transfer",
    "split_combinations": "combine",
    "split_combinations_inverse": "combine-inverse",
}
PARAMETER_OF = {
    "max_heldout_fraction_per_covariate": "max_heldout_fraction",
    "max_heldout_perturbations_per_covariate": "max_heldout_perturbations",
}

pytestmark = pytest.mark.golden


def entries() -> list[dict]:
    manifest = FOLDER / "manifest.json"
    return json.loads(manifest.read_text()) if manifest.is_file() else []


def read(name: str, header: int | None = 0) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv.gz", index_col=0, dtype=str, keep_default_na=False, header=header)


@pytest.mark.skipif(not entries(), reason=f"needs reference splits: {FOLDER.name}")
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: f"{entry['data']}__{entry['name']}")
def test_every_cell_is_where_the_reference_has_it(entry):
    obs, golden = read(f"{entry['data']}_obs"), read(f"{entry['data']}__{entry['name']}", header=None).iloc[:, 0]
    golden = golden[golden.index != ""].rename_axis(None)  # some files have a header
    params = {PARAMETER_OF.get(name, name): value for name, value in entry["kwargs"].items()}
    keys = ObsKeys(covariates=tuple(entry["covariate_keys"]))
    split = make_split(obs, TASK_OF[entry["method"]], keys, params)
    pd.testing.assert_series_equal(split, golden, check_names=False)
    assert split.replace("", "unused").value_counts().to_dict() == entry["counts"]
