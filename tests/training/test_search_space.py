from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.registry import MODELS, hyperparameters, model_class
from perturbench_lamin.training.search_space import read_space, search_space, space_to_dict
from perturbench_lamin.training.search_spaces import SPACES

TUNED = [name for name in MODELS if name in SPACES]


@pytest.mark.parametrize("model", TUNED)
def test_every_end_of_every_range_is_a_valid_hyperparameter(model):
    defaults = asdict(hyperparameters(model))
    for name, distribution in search_space(model).items():
        ends = getattr(distribution, "choices", None) or (distribution.low, distribution.high)
        for value in ends:
            assert type(value) is type(defaults[name]), name
            hyperparameters(model, {name: value})


def test_the_upper_ends_of_the_published_ranges_belong_to_them():
    assert SPACES["latent_additive"]["n_layers"].high == 7
    assert SPACES["latent_additive"]["encoder_width"].high == 5376
    assert SPACES["latent_additive"]["dropout"].high == 0.8
    assert SPACES["cpa"]["lr"].high == 1e-3
    assert SPACES["linear"]["lr"].high == 5e-3
    assert set(SPACES["linear"]) == {"lr", "wd"}


def test_models_of_gradient_descent_have_a_space_and_others_say_why_not():
    assert {"linear", "latent_additive", "decoder_only"} <= set(TUNED)
    closed = [name for name in MODELS if model_class(name).epochs is not None]
    assert closed
    for model in closed:
        with pytest.raises(InputError, match="closed form"):
            search_space(model)
    with pytest.raises(InputError, match="Did you mean linear"):
        search_space("linaer")


def test_a_file_of_ranges_and_values(tmp_path):
    path = tmp_path / "space.json"
    plain = {
        "lr": {"low": 1e-5, "high": 1, "log": True},
        "n_layers": {"low": 1, "high": 7, "step": 2},
        "latent_dim": [8, 16],
        "dropout": {"low": 0, "high": 0.8, "step": 0.2},
    }
    path.write_text(json.dumps(plain))
    space = read_space(path, "latent_additive")
    assert space == {
        "lr": FloatDistribution(1e-5, 1, log=True),
        "n_layers": IntDistribution(1, 7, step=2),
        "latent_dim": CategoricalDistribution((8, 16)),
        "dropout": FloatDistribution(0, 0.8, step=0.2),
    }
    assert json.loads(json.dumps(space_to_dict(space))) == space_to_dict(space)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Not readable as JSON"),
        ('{"lr": [1], "lr": [2]}', "'lr' stands there twice"),
        ('{"lr": {"low": NaN, "high": 1}}', "a bound is no number"),
        ("[]", "No search space"),
        ('{"lrr": [1]}', "Did you mean lr"),
        ('{"lr": {"low": 1}}', "Not a range for 'lr'"),
        ('{"lr": {"low": 1, "high": 2, "lg": true}}', "unknown entry 'lg'"),
        ('{"lr": 3}', "Not a range"),
        ('{"lr": []}', "Not a range"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, message):
    path = tmp_path / "space.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_space(path, "linear")
