import gzip

import anndata as ad
import h5py
import numpy as np
import pytest

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.ingestion.check import check_file


@pytest.fixture
def h5ad(tmp_path):
    path = tmp_path / "a.h5ad"
    ad.AnnData(np.ones((50, 40), dtype=np.float32)).write_h5ad(path)
    return path


def test_whole_files_pass(h5ad, tmp_path):
    check_file(h5ad)
    (tmp_path / "a.rds").write_bytes(b"X\nanything")
    (tmp_path / "b.rds").write_bytes(gzip.compress(b"X\n"))
    (tmp_path / "a.csv").write_bytes(b"not checked")
    for name in ("a.rds", "b.rds", "a.csv"):
        check_file(tmp_path / name)


def test_a_truncated_h5ad_is_recognised(h5ad):
    content = h5ad.read_bytes()
    h5ad.write_bytes(content[: len(content) // 2])
    with pytest.raises(IntegrityError, match="Truncated or corrupt HDF5"):
        check_file(h5ad)


def test_an_hdf5_file_that_is_no_h5ad_is_recognised(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"] = [1]
    with pytest.raises(IntegrityError, match="without obs, var"):
        check_file(tmp_path / "a.h5ad")


@pytest.mark.parametrize("name", ["a.gz", "a.rds"])
@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:-8] + b"\0" * 8, lambda b: b[:20] + b"\xff" * 40])
def test_damaged_gzip_is_recognised(tmp_path, name, damage):
    (tmp_path / name).write_bytes(damage(gzip.compress(np.random.default_rng(0).bytes(500))))
    with pytest.raises(IntegrityError, match="gzip"):
        check_file(tmp_path / name)


def test_an_rds_that_is_none_is_recognised(tmp_path):
    (tmp_path / "a.rds").write_bytes(b"<html>")
    with pytest.raises(IntegrityError, match="Not an RDS"):
        check_file(tmp_path / "a.rds")
