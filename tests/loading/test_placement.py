from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch
from tiny_curated import Tiny, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading import placement
from perturbench_lamin.loading.placement import expression_bytes, free_memory, place

DATA = Tiny().data()
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(DATA, tmp_path_factory.mktemp("data") / "tiny.h5ad")


def test_the_size_is_that_of_the_matrix_in_memory(path, tmp_path):
    assert expression_bytes(path) == DATA.X.nnz * 8 + (len(DATA.obs) + 1) * 8
    ad.AnnData(np.ones((3, 5), np.float32)).write_h5ad(tmp_path / "dense.h5ad")
    assert expression_bytes(tmp_path / "dense.h5ad") == 3 * 5 * 8


@pytest.mark.parametrize(
    ("device", "memory_free", "device_free", "copies", "where"),
    [
        (CPU, 1.7, None, 1, "memory"),
        (CPU, 1.7, None, 2, "disk"),
        (CPU, 1.6, None, 1, "disk"),
        (GPU, 0.1, 2.1, 1, "device"),
        (GPU, 1.7, 1.9, 1, "memory"),
        (GPU, 1.0, 1.9, 1, "disk"),
    ],
)
def test_auto_takes_what_fits_and_says_so(path, monkeypatch, device, memory_free, device_free, copies, where):
    """Free memory as multiples of the expression's size."""
    size = expression_bytes(path)
    monkeypatch.setattr(placement, "free_memory", lambda: int(memory_free * size))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(device_free * size), 1 << 40))
    found = place(path, "auto", device, copies)
    assert found.where == where
    assert found.read_as == ("disk" if where == "disk" else "compact")
    assert {"device": "on cuda:0", "memory": "in memory", "disk": "streamed from disk"}[where] in found.reason


@pytest.mark.parametrize("where", ["memory", "disk", "device"])
def test_what_is_asked_for_is_done(path, where):
    assert place(path, where, CPU).where == where


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(placement, "CGROUP", tmp_path)
    machine = free_memory()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert free_memory() > 0.5 * machine
    (tmp_path / "memory.max").write_text("1000\n")
    assert free_memory() == 600


def test_wrong_words_and_files(path, tmp_path):
    with pytest.raises(InputError, match="Did you mean disk"):
        place(path, "dsk", CPU)
    with pytest.raises(InputError, match="No such curated file"):
        place(tmp_path / "none.h5ad", "auto", CPU)
