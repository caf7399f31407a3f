from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_tools import all_cells, fitted, val_batches
from tiny_curated import Tiny, random_split

from perturbench_lamin.conditions import covariate_states, token_table
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch

EXACT = Tiny(noise=0.0, n_pairs=6)
NAMES = ("control_mean", "perturbation_mean", "additive")


def centroids(data, split) -> dict:
    """Slow and plain: (state, condition) → mean of its training cells, in float64."""
    train = (split == "train").to_numpy()
    states = covariate_states(data.obs, data.info.keys.covariates)
    X = data.X.toarray().astype(np.float64)
    labels = data.obs["condition"].astype(str)
    keys = sorted(set(zip(states[train], labels[train], strict=True)))
    same = lambda state: np.array([other == state for other in states])  # noqa: E731
    return {(state, label): X[train & same(state) & (labels == label).to_numpy()].mean(0) for state, label in keys}


def expected(name: str, means: dict, state: tuple, tokens: list[str]) -> np.ndarray:
    control = means[state, "control"]
    if name == "control_mean":
        return control
    if name == "perturbation_mean":
        return np.mean([mean for (other, label), mean in means.items() if other == state and label != "control"], 0)
    return control + sum(means[state, token] - control for token in tokens)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 100), name=st.sampled_from(NAMES), batch_size=st.integers(1, 90))
def test_predictions_are_the_formulas(seed, name, batch_size):
    data = Tiny(seed=seed, treatments=("none", "drug"), cells=4, controls=5, n_genes=9).data()
    split = all_cells(data)
    model, trainer = fitted(name, data, split, batch_size=batch_size)
    means = centroids(data, split)
    losses = []
    for batch in val_batches(data, split, batch_size):
        predicted = model.predict(batch).numpy()
        for row, place in zip(predicted, range(len(batch)), strict=True):
            state = model.vocabulary.states[batch.state_ids[place]]
            tokens = [model.vocabulary.perturbations[i] for i in np.flatnonzero(batch.perturbations[place].numpy())]
            np.testing.assert_allclose(row, expected(name, means, state, tokens), rtol=1e-5, atol=1e-5)
        losses += list(((predicted - batch.target.numpy()) ** 2).mean(1))
    np.testing.assert_allclose(float(trainer.callback_metrics["val_loss"]), np.mean(losses), rtol=1e-4)


def test_additive_recovers_held_out_pairs_of_an_additive_truth():
    data = EXACT.data()
    split = random_split(data, held_out=("G0+G1", "G2+G3"))
    model, _ = fitted("additive", data, split)
    means, effects = EXACT.truth()
    for (cell_type, treatment), mean in means.items():
        for pair in ("G0+G1", "G2+G3"):
            batch = ask(model, (cell_type, treatment), pair.split("+"), mean)
            truth = mean + sum(effects[token] for token in pair.split("+"))
            np.testing.assert_allclose(model.predict(batch).numpy()[0], truth, rtol=1e-5, atol=1e-5)


def ask(model, state: tuple, tokens: list[str], control: np.ndarray) -> Batch:
    """One cell under some tokens in a state, which training may lack."""
    vocabulary = model.vocabulary
    known = state in vocabulary.states
    return Batch(
        controls=torch.tensor(control, dtype=torch.float32)[None],
        perturbations=torch.from_numpy(vocabulary.encode_perturbations([tokens])),
        covariates=torch.zeros(1, vocabulary.n_covariates),
        condition_ids=torch.tensor([-1]),
        state_ids=torch.tensor([vocabulary.states.index(state) if known else -1]),
    )


def without(split, data, condition: str, cell_type: str | None = None):
    gone = data.obs["condition"] == condition
    if cell_type:
        gone &= data.obs["cell_type"] == cell_type
    return split.mask(gone.to_numpy(), "")


def test_additive_takes_an_effect_from_other_states_where_a_state_lacks_the_single():
    data = EXACT.data()
    model, _ = fitted("additive", data, without(all_cells(data), data, "G0", "K562"))
    means, effects = EXACT.truth()
    state = ("K562", "none")
    predicted = model.predict(ask(model, state, ["G0"], means[state])).numpy()[0]
    np.testing.assert_allclose(predicted, means[state] + effects["G0"], rtol=1e-5, atol=1e-5)


def test_additive_takes_an_effect_from_combinations_where_there_is_no_single():
    data = EXACT.data()
    model, _ = fitted("additive", data, without(all_cells(data), data, "G3"))
    means, effects = EXACT.truth()
    for state, mean in means.items():
        predicted = model.predict(ask(model, state, ["G3"], mean)).numpy()[0]
        np.testing.assert_allclose(predicted, mean + effects["G3"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_that_training_lacks_gets_the_mean_over_states(name):
    data = EXACT.data()
    model, _ = fitted(name, data, all_cells(data))
    known = [model.predict(ask(model, state, ["G1"], np.zeros(24))).numpy() for state in model.vocabulary.states]
    unknown = model.predict(ask(model, ("HepG2", "none"), ["G1"], np.zeros(24))).numpy()
    np.testing.assert_allclose(unknown, np.mean(known, axis=0), rtol=1e-5, atol=1e-5)


def test_a_state_without_perturbations_gets_its_control_and_the_other_states_shift():
    data = EXACT.data()
    only_controls = (data.obs["cell_type"] == "K562") & (data.obs["condition"] != "control")
    model, _ = fitted("perturbation_mean", data, all_cells(data).mask(only_controls.to_numpy(), ""))
    means, _ = EXACT.truth()
    there, here = ("RPE1", "none"), ("K562", "none")
    shift = model.predict(ask(model, there, ["G1"], np.zeros(24))).numpy()[0] - means[there]
    predicted = model.predict(ask(model, here, ["G1"], np.zeros(24))).numpy()[0]
    np.testing.assert_allclose(predicted, means[here] + shift, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_base_cells_shifts_each_control_cell(name):
    data = EXACT.data()
    split = all_cells(data)
    mean, _ = fitted(name, data, split)
    cells, _ = fitted(name, data, split, {"base": "cells"})
    for batch in val_batches(data, split):
        shift = mean.predict(batch) - mean.control_mean[batch.state_ids]
        torch.testing.assert_close(cells.predict(batch), batch.controls + shift)


@pytest.mark.parametrize("name", NAMES)
def test_a_control_is_predicted_unchanged(name):
    data = EXACT.data()
    model, _ = fitted(name, data, all_cells(data))
    state = ("K562", "none")
    predicted = model.predict(ask(model, state, [], np.zeros(24))).numpy()[0]
    np.testing.assert_allclose(predicted, EXACT.truth()[0][state], rtol=1e-5, atol=1e-5)


def test_training_states_without_controls_are_named():
    data = EXACT.data()
    gone = (data.obs["condition"] == "control") & (data.obs["cell_type"] == "RPE1")
    split = all_cells(data)
    split = split.mask(gone.to_numpy() & (split == "train").to_numpy(), "")
    with pytest.raises(InputError, match=r"1 covariate states have no controls.*\n.*RPE1/none"):
        fitted("additive", data, split)


def test_two_names_of_one_single_share_its_effect():
    data = EXACT.data()
    labels = data.obs["condition"].astype(str).to_numpy(dtype=object)
    places = np.flatnonzero(labels == "G0")
    labels[places[::2]] = "G0+control"
    obs = data.obs.assign(condition=labels)
    info = replace(data.info, conditions=token_table(labels, data.info.keys))
    renamed = replace(data, obs=obs, info=info)
    model, _ = fitted("additive", renamed, all_cells(renamed))
    means, effects = EXACT.truth()
    state = ("K562", "none")
    predicted = model.predict(ask(model, state, ["G0"], means[state])).numpy()[0]
    np.testing.assert_allclose(predicted, means[state] + effects["G0"], rtol=1e-5, atol=1e-5)
