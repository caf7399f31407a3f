"""The commands on plain files in the README run as they stand there, on tiny data, with fewer trials."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from calling import call, invoke

PAGE = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SMALLER = {"--trials 60": "--trials 1 --max-epochs 1 --test-seed 1", "--jobs 2": "--jobs 1", "--hvg 4000": "--hvg 60"}


def commands():
    """The commands of the section for those who build models, as words."""
    section = PAGE.split("**You build a model**")[1].split("**You curate data**")[0]
    for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for large, small in SMALLER.items():
                line = line.replace(large, small)
            yield shlex.split(line)[1:]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the counts that the page names."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    genes = [f"G{i}" for i in range(80)]
    singles = genes[:6]
    pairs = [f"{a}+{b}" for i, a in enumerate(singles) for b in singles[i + 1 :]]
    obs = pd.DataFrame([(c, line) for line in ("A", "B") for c in ["NTC"] * 4 + singles + pairs for _ in range(12)])
    obs.columns, obs.index = ["gene", "cell_line"], [f"c{i}" for i in range(len(obs))]
    rates = np.ones((len(obs), len(genes))) * rng.gamma(2, 1, len(genes))
    for row, condition in enumerate(obs["gene"]):
        for token in condition.split("+"):
            if token != "NTC":
                rates[row, genes.index(token) :: 7] *= 3
    ad.AnnData(rng.poisson(rates).astype(np.float32), obs, pd.DataFrame(index=genes)).write_h5ad("counts.h5ad")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(before)


def observe(place):
    """What the page takes as given: a file of observed cells, and predictions of others."""
    curated = ad.read_h5ad(place / "curated.h5ad")
    part = pd.read_csv(place / "combine.csv", header=None, index_col=0)[1].reindex(curated.obs_names)
    test = curated[(part == "test").to_numpy()]
    for name in ("test", "mine", "mean"):
        test.copy().write_h5ad(place / f"{name}.h5ad")


def test_the_commands_run_word_for_word(place):
    for words in commands():
        if words[0] == "evaluate" and "--truth" in words:
            observe(place)
        call(*words)
    metrics = pd.read_csv(place / "metrics.csv")
    assert {"latent", "baseline: control mean"} <= set(metrics["model"])
    assert "<html" in (place / "report.html").read_text()


def test_the_part_of_a_split_is_the_truth_that_the_file_of_its_cells_is(place):
    for words in list(commands())[:2]:
        call(*words)
    observe(place)
    by_part = ("evaluate", "--curated", "curated.h5ad", "--split", "combine.csv", "--prediction", "mine.h5ad")
    call(*by_part, "--out", "one.csv")
    keys = ("--perturbation-key", "gene", "--covariate-key", "cell_line", "--control", "NTC")
    call("evaluate", "--truth", "test.h5ad", "--prediction", "mine.h5ad", *keys, "--out", "other.csv")
    pd.testing.assert_frame_equal(pd.read_csv("one.csv"), pd.read_csv("other.csv"))
    call(*by_part[:5], "--part", "val", "--prediction", "curated.h5ad", "--out", "val.csv")
    tables = [pd.read_csv(name)[["cell_line", "gene"]] for name in ("one.csv", "val.csv")]
    tested, validated = (set(table.itertuples(index=False, name=None)) for table in tables)
    assert tested
    assert validated
    assert not tested & validated
    for wrong, match in (
        ((*by_part, "--truth", "test.h5ad"), "--truth T.h5ad, or --curated"),
        (("evaluate", "--prediction", "mine.h5ad"), "--truth T.h5ad, or --curated"),
        ((*by_part[:3], *by_part[5:]), "belong together"),
        (("evaluate", "--truth", "test.h5ad", "--part", "val", "--prediction", "mine.h5ad"), "belong together"),
        ((*by_part, "--control", "NTC"), "Leave --control out"),
    ):
        result = invoke(*wrong, "--out", "none.csv")
        assert (result.exit_code, match in result.output) == (2, True), result.output
    assert not (place / "none.csv").exists()
