"""Objects that R itself wrote, and R's own reading of what the simulations write; skipped where R is not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError
from perturbench_lamin.ingestion.monocle import read_cell_data_sets
from perturbench_lamin.ingestion.rds import read_rds
from perturbench_lamin.ingestion.seurat import read_seurat
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.deposits import simulate_deposit

HERE = Path(__file__).parent
SEURAT = ("seurat.rds", "seurat-xz-2.rds", "seurat-bzip2.rds", "seurat-plain.rds")


def rscript(*arguments: object) -> str:
    if shutil.which("Rscript") is None:
        pytest.skip("needs R (Debian: r-base-core)")
    done = subprocess.run(["Rscript", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300)
    if "there is no package called" in done.stderr and done.returncode:
        pytest.skip("needs R's SeuratObject and SingleCellExperiment (r-cran-seurat, r-bioc-singlecellexperiment)")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written-by-r")
    rscript(HERE / "r_objects.R", folder)
    return folder


def expected(folder):
    """Cells × genes and the table of cells, from the text that R wrote beside the objects."""
    counts = pd.read_csv(folder / "counts.csv", index_col=0).T
    return counts, pd.read_csv(folder / "meta.csv", index_col=0, keep_default_na=False, na_values=["NA"])


def same(found, folder, cells=slice(None)):
    counts, meta = expected(folder)
    counts, meta = counts.iloc[cells], meta.iloc[cells]
    assert list(found.obs.index) == list(counts.index)
    assert list(found.var.index) == list(counts.columns)
    np.testing.assert_array_equal(found.counts.toarray(), counts.to_numpy())
    assert found.counts.dtype == np.float32
    for name in meta:
        values, wanted = found.obs[name], meta[name]
        np.testing.assert_array_equal(values.isna().to_numpy(), wanted.isna().to_numpy(), err_msg=name)
        there = wanted.notna().to_numpy()
        assert list(values[there]) == pytest.approx(list(wanted[there])), name
    assert list(found.obs["gene"].cat.categories) == ["STAT1", "NT", "unused"]


@pytest.mark.parametrize("name", SEURAT)
def test_seurat(written, name):
    found = read_seurat(written / name)
    assert found.assay == "RNA"
    same(found, written)


def test_another_assay_of_a_seurat_object(written):
    counts, _ = expected(written)
    found = read_seurat(written / "seurat.rds", assay="ADT")
    np.testing.assert_array_equal(found.counts.toarray(), counts.iloc[:, :2].to_numpy())


def test_a_seurat_object_of_normalised_values_is_refused(written):
    with pytest.raises(InputError, match="no raw counts"):
        read_seurat(written / "seurat-normalised.rds")


@pytest.mark.parametrize("name", ["sce.rds", "cds.rds"])
def test_monocle_and_what_it_extends(written, name):
    (found,) = read_cell_data_sets(written / name)
    same(found, written)
    assert list(found.var["gene_short_name"]) == list(found.var.index)
    assert list(found.var["id"]) == [f"ENSG{n}.1" for n in range(1, 8)]


def test_a_list_of_monocle_objects(written):
    first, second = read_cell_data_sets(written / "cds-list.rds")
    assert (first.name, second.name) == ("U87MG", "A172")
    same(first, written)
    same(second, written, slice(2, 5))


@pytest.mark.parametrize(("name", "kind"), [("cds-dense.rds", "integer"), ("cds-triplets.rds", "dgTMatrix")])
def test_counts_of_another_class_are_refused_by_name(written, name, kind):
    with pytest.raises(InputError, match=f"'{kind}'"):
        read_cell_data_sets(written / name)


def test_each_reader_names_the_others_class(written):
    with pytest.raises(InputError, match=r"'cell_data_set'[\s\S]*read_cell_data_sets"):
        read_seurat(written / "cds.rds")
    with pytest.raises(InputError, match=r"'Seurat'[\s\S]*read_seurat"):
        read_cell_data_sets(written / "seurat.rds")


def test_alternative_representations_and_code(written):
    found = read_rds(written / "others.rds")
    np.testing.assert_array_equal(found.element("sequence").value, np.arange(1, 100_001))
    assert found.element("labels").value == [str(number) for number in range(1, 21)]
    np.testing.assert_array_equal(found.element("steps").value, np.arange(10))
    np.testing.assert_array_equal(found.element("wrapped").value, [3, 1])
    assert found.element("code").kind == "other"
    last = found.element("last")
    assert last.names == ["a", "b"]
    np.testing.assert_array_equal(last.value, [1.5, np.nan])


def test_r_reads_what_is_simulated(tmp_path):
    config = SimulationConfig(n_cells=600, n_genes=40, n_singles=3, n_pairs=0, n_downstream=5)
    seurat = [("Seurat", "gene", path, read_seurat(path)) for path in simulate_deposit("jiang25", tmp_path, config)]
    monocle = [
        ("cell_data_set", "gene_id", path, read_cell_data_sets(path)[0])
        for path in simulate_deposit("mcfaline24", tmp_path, config)
    ]
    lines = rscript(HERE / "r_reads.R", *(path for _, _, path, _ in [*seurat, *monocle])).splitlines()
    for (r_class, column, _, ours), line in zip([*seurat, *monocle], lines, strict=True):
        kind, genes, cells, total, gene, cell, value = line.split()
        assert kind == r_class
        assert (int(cells), int(genes)) == ours.counts.shape
        assert float(total) == ours.counts.sum()
        assert (gene, cell) == (ours.var.index[0], ours.obs.index[1])
        assert value == ours.obs[column].iloc[0]
