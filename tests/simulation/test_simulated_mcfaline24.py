import warnings

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.ingestion.fetch import fetch
from perturbench_lamin.ingestion.monocle import read_cell_data_sets
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.rds import read_rds
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.mcfaline24 import simulate_mcfaline24

CONFIG = SimulationConfig(n_cells=1_100, n_genes=60, n_singles=5, n_pairs=0, n_downstream=10, target_effect=-2.0)
REAL = (
    "data/raw/mcfaline24/GSM7056148_sciPlexGxE_1_preprocessed_cds.rds.gz",
    "data/raw/mcfaline24/GSM7056149_sciPlexGxE_2_preprocessed_cds.list.RDS.gz",
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return simulate_mcfaline24(tmp_path_factory.mktemp("mirror"), CONFIG)


def test_they_serve_as_a_mirror(paths):
    for path, raw_file in zip(paths, get_dataset("mcfaline24").raw_files, strict=True):
        assert fetch(raw_file, path.parent, mirror=path.parents[1]) == path


def test_every_cell_is_in_one_object(paths):
    (first,), second = (read_cell_data_sets(path) for path in paths)
    assert [one.name for one in second] == ["A172", "T98G", "U87MG"]
    everything = [first, *second]
    assert sum(len(one.obs) for one in everything) == CONFIG.n_cells
    assert len({name for one in everything for name in one.obs.index}) == CONFIG.n_cells
    for one in everything:
        np.testing.assert_array_equal(one.obs["n.umi"], np.asarray(one.counts.sum(axis=1)).ravel())
        np.testing.assert_array_equal(one.obs["nFeature_RNA"], np.diff(one.counts.indptr))
        assert (one.obs["cell"].astype(str) == one.obs.index).all()


def test_every_state_has_controls_and_every_perturbation(paths):
    for path in paths:
        for one in read_cell_data_sets(path):
            table = pd.crosstab(one.obs["treatment"], one.obs["gene_id"])
            assert set(table) == {"NTC", "random", "MAP2K3", "MAP2K6", "MAP3K21", "MAP4K3", "MAP4K5"}
            assert (table.drop(columns=["NTC", "random"]) > 0).all().all()
            assert (table[["NTC", "random"]].sum(axis=1) > 0).all()
            assert ((one.obs["dose"] == 0) == (one.obs["treatment"] == "vehicle")).all()


def test_the_same_configuration_gives_the_same_files(paths, tmp_path):
    for path, again in zip(paths, simulate_mcfaline24(tmp_path, CONFIG), strict=True):
        assert path.read_bytes() == again.read_bytes()


def structure(obj, depth=4):
    """The kinds, classes and names of an object, without its values."""
    if not isinstance(obj, RObject) or not depth or obj.kind == "environment":
        return getattr(obj, "kind", None)
    inner = {name: structure(value, depth - 1) for name, value in obj.attributes.items() if name != "names"}
    if obj.kind == "list":
        inner |= {f"${name}": structure(value, depth - 1) for name, value in zip(obj.names, obj.value, strict=False)}
    return obj.kind, obj.r_class, inner


@pytest.mark.parametrize("which", [0, 1], ids=["one object", "list"])
def test_the_structure_is_that_of_the_real_file(paths, shared_file, which):
    made, real = (read_rds(path) for path in (paths[which], shared_file(REAL[which])))
    if which:
        assert made.names == real.names
        made, real = made.value[0], real.value[0]
    a, b = structure(made), structure(real)
    assert (a[:2], list(a[2])) == (b[:2], list(b[2]))
    for slot in set(a[2]) - {"class", "int_metadata"}:
        assert a[2][slot] == b[2][slot], slot


def test_rdata_reads_them_too(paths):
    rdata = pytest.importorskip("rdata")
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes unknown to rdata are what is wanted: plain objects
            other = rdata.conversion.convert(rdata.parser.parse_file(path))
        ours = read_cell_data_sets(path)[0]
        obj = other["A172"] if isinstance(other, dict) else other
        assays = obj.assays.data if hasattr(obj.assays, "data") else getattr(obj.assays, ".xData")["data"]
        np.testing.assert_array_equal(next(iter(assays.listData.values())).x, ours.counts.data)
        assert obj.colData.rownames.tolist() == ours.obs.index.tolist()
