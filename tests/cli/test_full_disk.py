"""Verbs whose disk is full say so, exit with 1, and leave nothing half-written; on a small file system of memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.splitting.io import write_split

sys.path.append(str(Path(__file__).resolve().parents[1] / "loading"))
from tiny_curated import Tiny, random_split, write

DATA = Tiny(noise=0.05, controls=20, n_pairs=4).data()
KEYS = ("--covariate-key", "cell_type", "--covariate-key", "treatment")
VERB = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()"]


@pytest.fixture
def small(tmp_path):
    """A file system of 1 MiB; skips where none can be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write(DATA, folder / "tiny.h5ad")
    write_split(random_split(DATA, held_out=("G0+G1",)), folder / "split.csv")
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, (400, 300)).astype(np.float32)
    obs = pd.DataFrame({"condition": np.resize(["control", "A", "B"], 400)}, index=[f"c{i}" for i in range(400)])
    ad.AnnData(counts, obs, pd.DataFrame(index=[f"G{i}" for i in range(300)])).write_h5ad(folder / "counts.h5ad")
    train = ("train", folder / "tiny.h5ad", "--split", folder / "split.csv", "--model", "linear", "--max-epochs", 2)
    done = call(*train, "--accelerator", "cpu", "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder


def call(*words, **more):
    return subprocess.run([*VERB, *map(str, words)], capture_output=True, text=True, check=False, **more)


def words(verb, files, out):
    curated, split = files / "tiny.h5ad", ("--split", files / "split.csv")
    linear = ("--model", "linear", "--set", "batch_size=40", "--max-epochs", 2, "--accelerator", "cpu")
    return {
        "preprocess": ("preprocess", files / "counts.h5ad", "--hvg", 300, "--out", out / "curated.h5ad"),
        "split": ("split", curated, "--task", "combine", *KEYS, "--seed", 1, "--out", out / "s.csv"),
        "train": ("train", curated, *split, *linear, "--out", out / "run"),
        "tune": ("tune", curated, *split, *linear, "--trials", 1, "--out", out / "study"),
        "pretrain": ("pretrain", curated, "--out", out / "embeddings"),
        "predict": ("predict", files / "run/best.ckpt", "--curated", curated, *split, "--out", out / "p.h5ad"),
        "evaluate": ("evaluate", "--truth", curated, "--prediction", curated, *KEYS, "--out", out / "m.csv"),
        "report": ("compare", curated, curated, "--report", out / "report.html"),
    }[verb]


@pytest.mark.parametrize(
    ("verb", "room"),
    [
        ("preprocess", 64),
        ("split", 0),
        ("train", 16),
        ("tune", 16),
        ("pretrain", 4),
        ("predict", 20),
        ("evaluate", 0),
        ("report", 4),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing_half_written(verb, room, files, small):
    """Rooms are in KiB: HDF5 fails in the middle of a file, the others at its beginning."""
    out = small
    (out / "filler").write_bytes(bytes((1024 - room) * 1024))
    done = call(*words(verb, files, out))
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "Error: The disk is full" in done.stderr, done.stderr
    if verb in ("split", "evaluate", "report"):
        assert f"[{out}]" in done.stderr, "where it is full, not what was read"
    assert "Traceback" not in done.stderr
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    assert not list(out.glob("*.h5ad")) + list(out.glob("*.csv")) + list(out.glob("*.html"))
