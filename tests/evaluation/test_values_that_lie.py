"""Names and values that look right and are not: spellings, spaces, texts for nothing, counts, other logarithms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_cells import KEYS, make_cells
from scipy import sparse

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.evaluate import evaluate


def renamed(cells, names: dict[str, str]):
    other = cells.copy()
    other.obs["condition"] = other.obs["condition"].astype(str).replace(names).to_numpy()
    return other


def pairs(seed: int):
    return renamed(make_cells(seed), {"p2": "p0+p1", "p3": "p1+p4"})


def kinds(result) -> list[str]:
    return [note.kind for note in result.notes]


@pytest.mark.parametrize(
    "names",
    [
        {"p0": "p0+control", "p1": "p1+control", "p4": "p4+control"},
        {"p0": "control+p0", "p4": "p4+p4"},
        {"p0+p1": "p1+p0", "p1+p4": "p4+control+p1"},
        {"control": "control+control"},
    ],
)
def test_a_condition_is_its_perturbations_on_either_side(names):
    truth, prediction = pairs(0), pairs(1)
    plain = evaluate(truth, {"m": prediction}, KEYS, training=truth, baselines=True)
    told = evaluate(truth, {"m": renamed(prediction, names)}, KEYS, training=renamed(truth, names), baselines=True)
    pd.testing.assert_frame_equal(told.table, plain.table)
    note = next(note for note in told.notes if note.kind == "spelling" and note.model == "m")
    assert f"{min(names.values())!r} is" in note.message
    other = evaluate(renamed(truth, names), {"m": prediction}, KEYS)
    spelled = {name: other for name, other in names.items() if name != "control"}
    wanted = plain.table[plain.table["model"] == "m"].replace({"condition": spelled})
    merged = other.table.merge(wanted, on=["model", "cell_type", "condition", "metric"])
    assert len(merged) == len(wanted), "conditions as the truth spells them"
    np.testing.assert_array_equal(merged["value_x"], merged["value_y"])


def test_spellings_within_one_file_are_one_condition_of_all_their_cells():
    truth, prediction = pairs(0), pairs(1)
    mixed = prediction.copy()
    names = mixed.obs["condition"].astype(str).to_numpy()
    for name, other in (("p0", "p0+control"), ("p0+p1", "p1+p0")):
        names[np.flatnonzero(names == name)[::2]] = other
    mixed.obs["condition"] = pd.Categorical(names)
    told = evaluate(truth, {"m": mixed}, KEYS)
    assert told.table.equals(evaluate(truth, {"m": prediction}, KEYS).table)


def test_where_nothing_matches_the_message_says_what_there_is():
    truth = make_cells(0)
    strange = renamed(truth, {f"p{number}": f"q{number}" for number in range(5)})
    with pytest.raises(InputError, match=r"10 of the 10 conditions(.|\n)*The prediction has ct0/q0, ct0/q1"):
        evaluate(truth, {"m": strange}, KEYS)
    with pytest.raises(InputError, match=r"The prediction has control cells alone"):
        evaluate(truth, {"m": truth[truth.obs["condition"] == "control"]}, KEYS)


@pytest.mark.parametrize("side", ["truth", "prediction", "training"])
def test_spaces_are_refused_in_every_file(side):
    files = {"truth": make_cells(0), "prediction": make_cells(1), "training": make_cells(2)}
    files[side] = renamed(files[side], {"p1": "p1 "})
    with pytest.raises(InputError, match=r"12 cells: 'p1 '"):
        evaluate(files["truth"], {"m": files["prediction"]}, KEYS, training=files["training"])


def test_text_for_no_perturbation_is_noted():
    truth, prediction = (renamed(make_cells(seed), {"p1": "nan"}) for seed in (0, 1))
    notes = [note for note in evaluate(truth, {"m": prediction}, KEYS).notes if note.kind == "no perturbation"]
    assert [(note.model, note.count) for note in notes] == [("", 12), ("m", 12)]


@pytest.mark.parametrize("highest", [1, 2, 3])
@pytest.mark.parametrize("side", ["truth", "prediction"])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_whole_numbers_are_counts_however_low(highest, side, form):
    files = {"truth": make_cells(0), "prediction": make_cells(1)}
    counts = np.minimum(np.rint(files[side].X.toarray()), highest)
    files[side].X = form(counts.astype(np.float32))
    with pytest.raises(InputError, match=rf"integer counts \(highest: {highest}\)"):
        evaluate(files["truth"], {"m": files["prediction"]}, KEYS)


def test_one_logarithm_after_a_million_whole_numbers_is_no_count():
    truth = make_cells(0, cells=100, genes=1000)
    prediction = truth.copy()
    values = np.zeros(truth.shape, dtype=np.float32)
    values[:, 0] = 1.0
    values[-1, -1] = 0.5
    prediction.X = values
    assert len(evaluate(truth, {"m": prediction}, KEYS).table) == 40


SCALES = {
    "log2": lambda X: X / np.log(2),
    "log10": lambda X: X / np.log(10),
    "means of counts": lambda X: 0.97 * np.expm1(X),
    "another sum": lambda X: np.log1p(10 * np.expm1(X)),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("controls", [True, False])
def test_another_scale_is_noted(scale, controls):
    truth, prediction = make_cells(0, cells=40), make_cells(0, cells=40)
    plain = evaluate(truth, {"m": prediction}, KEYS)
    assert "scale" not in kinds(plain)
    prediction.X = sparse.csr_matrix(SCALES[scale](prediction.X.toarray()).astype(np.float32))
    if not controls:
        prediction = prediction[prediction.obs["condition"] != "control"].copy()
    note = next(note for note in evaluate(truth, {"m": prediction}, KEYS).notes if note.kind == "scale")
    assert ("control cells" if controls else "conditions") in note.message
    if scale == "log2":
        assert "1.44 times" in note.message


def test_the_scale_is_seen_by_controls_where_the_conditions_say_nothing():
    truth, prediction = make_cells(0, cells=40), make_cells(0, cells=40)
    perturbed = (prediction.obs["condition"] != "control").to_numpy()
    X = prediction.X.toarray()
    X[perturbed] *= 3
    prediction.X = X
    assert "scale" not in kinds(evaluate(truth, {"m": prediction}, KEYS)), "a strong effect is no other scale"
