"""The kernels for a GPU, run by torch on the processor, against those of the processor."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from evaluation_cells import KEYS, make_cells, values
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation import device, energy, pairwise
from perturbench_lamin.evaluation.calibration import calibrate
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import Profile

TOLERANCE = {"rtol": 1e-6, "atol": 1e-9}
GENE_SPACE = Profile(
    "own", ("mmd_cells", "mmd_cells_rank", "pearson_edistance_cells", "mmd_pca_rank", "mae_average_rank")
)


@pytest.fixture(scope="module")
def kernels():
    torch_kernels = pytest.importorskip("perturbench_lamin.evaluation.torch_kernels")
    return torch_kernels.TorchKernels("cpu")


@pytest.mark.parametrize("storage", ["csr", "dense"])
@pytest.mark.parametrize("profile", ["perturbench", "full", "vcc", GENE_SPACE], ids=str)
def test_every_profile_has_the_same_numbers(kernels, profile, storage):
    truth, prediction = make_cells(0, cells=9), make_cells(1, cells=7)
    if storage == "dense":
        truth.X, prediction.X = truth.X.toarray(), prediction.X.toarray()
    expected = evaluate(truth, {"m": prediction}, KEYS, profile, baselines=True).table
    with device.using(kernels) as used:
        assert used == "cpu (torch)"
        found = evaluate(truth, {"m": prediction}, KEYS, profile, baselines=True, device=None)
    assert found.device == "cpu (torch)"
    pd.testing.assert_frame_equal(found.table, expected, **TOLERANCE)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), genes=st.integers(1, 40))
def test_all_pairs_and_distances_agree_and_equal_rows_are_at_0(kernels, seed, n, genes):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(2, 1, (n, genes)), rng.normal(2, 1, (n + 1, genes))
    b[0] = a[0]
    groups = [rng.normal(3, 1, (int(size), genes)) for size in rng.integers(1, 9, n)]
    others = [groups[0], *(rng.normal(3, 1, (4, genes)) for _ in range(2))]
    for function in (pairwise.squared_differences, pairwise.absolute_differences, pairwise.products):
        with device.using(kernels):
            found = function(a, b)
        np.testing.assert_allclose(found, function(a, b), rtol=1e-12, atol=1e-12)
        assert function is pairwise.products or found[0, 0] == 0
    with device.using(kernels):
        found = energy.energy_pairs(others, groups)
        same = energy.energy(groups, groups)
    np.testing.assert_allclose(found, energy.energy_pairs(others, groups), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(same, 0, atol=1e-12)


def test_ties_stay_ties(kernels):
    truth = make_cells(3, cells=8)
    rng = np.random.default_rng(0)
    obs = truth.obs[truth.obs["condition"] != "control"].sort_values(["cell_type", "condition"])
    collapsed = AnnData(np.tile(rng.random((8, truth.n_vars)), (10, 1)), obs=obs, var=truth.var)
    with device.using(kernels):
        table = evaluate(truth, {"m": collapsed}, KEYS, "full", baselines=True, device=None).table
    own = table[table["model"] == "m"]
    for name in ("rmse_average_rank", "cosine_pca_average_rank", "mmd_pca_rank"):
        assert (values(own, name) == 1.0).all(), name


def test_large_arrays_are_cut_into_parts(kernels, monkeypatch):
    rng = np.random.default_rng(0)
    groups = [rng.random((size, 5)) for size in (7, 3, 11)]
    dense = rng.random((13, 5))
    expected = energy.mean_distances(groups, groups), pairwise.products(dense, dense)
    monkeypatch.setattr("perturbench_lamin.evaluation.torch_kernels.PART_VALUES", 20)
    with device.using(kernels):
        found = energy.mean_distances(groups, groups), pairwise.products(dense, dense)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_device_is_chosen_and_said():
    torch = pytest.importorskip("torch")
    truth = make_cells(0)
    assert evaluate(truth, {"m": truth}, KEYS, "minimal").device == "cpu"
    automatic = evaluate(truth, {"m": truth}, KEYS, "minimal", device="auto").device
    assert automatic.startswith("cuda" if torch.cuda.is_available() else "cpu")
    assert device.accelerator() is None, "outside of an evaluation nothing has changed"


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    truth = make_cells(0)
    with pytest.raises(InputError, match="no CUDA GPU"):
        evaluate(truth, {"m": truth}, KEYS, device="cuda")
    with pytest.raises(InputError, match="no CUDA GPU"):
        calibrate(truth, KEYS, device="cuda")
    with pytest.raises(InputError, match="No device 'gpu'"):
        evaluate(truth, {"m": truth}, KEYS, device="gpu")


@pytest.mark.filterwarnings("default")
def test_on_a_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    truth, prediction = make_cells(0, cells=9), make_cells(1, cells=7)
    expected = evaluate(truth, {"m": prediction}, KEYS, "full").table
    found = evaluate(truth, {"m": prediction}, KEYS, "full", device="cuda").table
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4, atol=1e-9)
