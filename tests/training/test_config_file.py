from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.config_file import read_config, read_plain

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9) | st.booleans()


@given(values=st.dictionaries(st.from_regex(r"[a-z_]{3,9}", fullmatch=True), NUMBERS, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_json_says_is_what_is_read(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("config") / "config.json"
    plain = {"model": "linear", "hyperparameters": values}
    path.write_text(json.dumps(plain, indent=1))
    read = read_plain(path)
    assert read == plain
    assert {name: type(value) for name, value in read["hyperparameters"].items()} == {
        name: type(value) for name, value in values.items()
    }


def test_numbers_of_yaml_and_changes(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("model: linear\nseed: 3\nhyperparameters: {lr: 1e-3, wd: 1E-08}\n")
    config = read_config(path, seed=4, max_epochs=None)
    assert config == TrainConfig("linear", {"lr": 0.001, "wd": 1e-8}, seed=4)


def test_no_object_is_made_of_a_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("model: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(InputError, match="Not readable as JSON or YAML"):
        read_plain(path)
    with pytest.raises(InputError, match="Not readable"):
        read_plain(tmp_path / "none.yaml")
