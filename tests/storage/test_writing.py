"""New HDF5 files: what AnnData writes, and an error, not a crash, where they cannot be written."""

from __future__ import annotations

import subprocess
import sys

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from perturbench_lamin.storage.writing import NewHDF5, write_h5ad

LIMITED = """
import resource, sys
import numpy as np
from perturbench_lamin.storage.writing import NewHDF5
path, limit, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with NewHDF5(path) as file:
        file["small"] = np.arange(2000)  # held back when its object goes: HDF5 hands no failure on
        values = file.create_dataset("values", shape=(2000, 4000), dtype="f4", chunks=(10, 4000))
        for row in range(0, 2000, 10):
            values[row : row + 10] = row
            if when == "soon":
                file.check()
except OSError as error:
    print(error.errno, row)
"""


def test_it_is_what_anndata_writes(tmp_path):
    counts = sparse.random(300, 40, 0.2, format="csr", random_state=0, dtype="f4")
    obs = pd.DataFrame({"line": ["a", "b"] * 150, "n": np.arange(300)}, index=[f"c{i}" for i in range(300)])
    adata = ad.AnnData(counts, obs, uns={"simulated": True, "more": {"x": "y"}}, obsm={"e": np.zeros((300, 2))})
    adata.copy().write_h5ad(tmp_path / "theirs.h5ad", compression="lzf")
    write_h5ad(adata, tmp_path / "ours.h5ad", compression="lzf")

    def parts(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: found.__setitem__(name, (sorted(item.attrs), getattr(item, "dtype", "")))
            )
            found["/"] = sorted(file.attrs)
        return found

    assert parts(tmp_path / "ours.h5ad") == parts(tmp_path / "theirs.h5ad")
    read = ad.read_h5ad(tmp_path / "ours.h5ad")
    assert (counts != read.X).nnz == 0
    assert read.obs.equals(adata.obs)
    with NewHDF5(tmp_path / "ours.h5ad", "r+") as file:
        file["uns/simulated"][()] = False
    assert not ad.read_h5ad(tmp_path / "ours.h5ad").uns["simulated"]


@pytest.mark.parametrize("when", ["soon", "late"])
@pytest.mark.parametrize("limit", [1, 20_000, 300_000])
def test_a_failure_is_an_error_with_its_number_and_no_crash(tmp_path, limit, when):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "x.h5"), str(limit), when],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    number, row = done.stdout.split()
    assert number == "27"
    assert (int(row) == 1990) == (when == "late")
