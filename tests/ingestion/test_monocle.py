import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion import r_matrix
from perturbench_lamin.ingestion.monocle import read_cell_data_sets
from perturbench_lamin.ingestion.r_matrix import exact_float32, from_dgc_matrix
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.simulation import r_values as r
from perturbench_lamin.simulation.mcfaline24 import Screen, cell_data_set
from perturbench_lamin.simulation.rds_writer import write_rds

FIRST = "data/raw/mcfaline24/GSM7056148_sciPlexGxE_1_preprocessed_cds.rds.gz"
SECOND = "data/raw/mcfaline24/GSM7056149_sciPlexGxE_2_preprocessed_cds.list.RDS.gz"


@pytest.fixture
def screen():
    counts = sp.random_array((5, 4), density=0.5, format="csr", rng=np.random.default_rng(0))
    counts.data = np.ceil(counts.data * 9).astype(np.float32)
    cells, genes = [f"c{n}" for n in range(5)], [f"ENSG{n}.1" for n in range(4)]
    obs = pd.DataFrame({"gene_id": pd.Categorical(list("ababa")), "n.umi": np.arange(5)}, index=cells)
    var = pd.DataFrame({"id": genes, "gene_short_name": list("wxyz")}, index=genes)
    return Screen(sp.csr_matrix(counts), obs, var)


def same(found, screen):
    assert (found.counts != screen.counts).nnz == 0
    assert found.counts.dtype == np.float32
    assert found.counts.has_sorted_indices
    pd.testing.assert_frame_equal(found.obs, screen.obs, check_dtype=False, check_index_type=False)
    pd.testing.assert_frame_equal(found.var, screen.var, check_index_type=False)


@pytest.mark.parametrize("old", [False, True], ids=["present layout", "older layout"])
def test_one_object(tmp_path, screen, old):
    (found,) = read_cell_data_sets(write_rds(tmp_path / "a.rds", cell_data_set(screen, old=old)))
    assert found.name == ""
    same(found, screen)


def test_a_list_of_objects_keeps_names_and_order(tmp_path, screen):
    several = r.named_list({"U87MG": cell_data_set(screen, old=True), "A172": cell_data_set(screen)})
    found = read_cell_data_sets(write_rds(tmp_path / "a.rds", several))
    assert [one.name for one in found] == ["U87MG", "A172"]
    for one in found:
        same(one, screen)


def test_an_accessors_value_is_found_under_its_arrow(tmp_path, screen):
    obj = cell_data_set(screen, old=True)
    fields = obj.slot("assays").slot(".xData").value
    fields[".->data"] = fields.pop("data")
    (found,) = read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))
    same(found, screen)


def test_names_come_from_the_matrix_where_the_table_has_none(tmp_path, screen):
    obj = cell_data_set(screen)
    obj.slot("colData").attributes["rownames"] = r.NULL
    (found,) = read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))
    assert list(found.obs.index) == list(screen.obs.index)


def test_names_that_differ_are_an_error(tmp_path, screen):
    obj = cell_data_set(screen)
    obj.slot("colData").slot("rownames").value[3] = "another"
    with pytest.raises(IntegrityError, match="'another' and 'c3'"):
        read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))


def test_a_table_of_another_length_is_an_error(tmp_path, screen):
    obj = cell_data_set(screen)
    obj.attributes["colData"] = r.table(screen.obs.iloc[:4])
    with pytest.raises(IntegrityError, match="4 rows for 5"):
        read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))


def assay(obj):
    return obj.slot("assays").slot("data").slot("listData")


def test_missing_counts_say_what_there_is(tmp_path, screen):
    obj = cell_data_set(screen)
    assay(obj).attributes["names"] = r.character(["logcounts"])
    with pytest.raises(InputError, match="Its assays: logcounts"):
        read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))


def test_counts_of_another_class_say_how_to_convert(tmp_path, screen):
    obj = cell_data_set(screen)
    assay(obj).value[0] = r.s4("HDF5Matrix", "HDF5Array")
    with pytest.raises(InputError, match=r"HDF5Matrix[\s\S]*CsparseMatrix"):
        read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))


@pytest.mark.parametrize(
    ("slot", "value", "message"),
    [
        ("i", [9] * 10, "contradict"),
        ("i", [0] * 9, "contradict"),
        ("p", [0, 1], "contradict"),
        ("p", [1, 2], "contradict"),
        ("Dim", [1], "contradict"),
        ("Dim", [10**9, 10**9], "contradict"),
        ("x", None, "without x"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_an_error(tmp_path, screen, slot, value, message):
    obj = cell_data_set(screen)
    matrix = assay(obj).value[0]
    if value is None:
        del matrix.attributes[slot]
    else:
        matrix.attributes[slot] = r.integer(value)
    path = write_rds(tmp_path / "a.rds", obj)
    with pytest.raises(IntegrityError, match=message) as caught:
        read_cell_data_sets(path)
    assert caught.value.where == path


def dgc(i, p, x, dim, names=None) -> RObject:
    arrays = {"i": np.array(i, np.int32), "p": np.array(p, np.int32), "Dim": np.array(dim, np.int32)}
    slots = {name: RObject("integer", array) for name, array in arrays.items()}
    slots["x"] = RObject("double", np.array(x, float))
    if names:
        slots["Dimnames"] = RObject("list", [RObject("character", side) for side in names])
    return RObject("S4", None, slots)


def test_genes_of_a_cell_are_in_order_and_there_once(monkeypatch):
    monkeypatch.setattr(r_matrix, "CHUNK", 3)
    good = dgc([0, 1, 2, 0, 1, 0, 2], [0, 3, 3, 5, 7], [1, 2, 3, 4, 5, 6, 7], [3, 4])
    assert from_dgc_matrix(good).matrix.toarray().tolist() == [[1, 2, 3], [0, 0, 0], [4, 5, 0], [6, 0, 7]]
    for wrong in ([0, 2, 1, 0, 1, 0, 2], [0, 1, 1, 0, 1, 0, 2], [0, 1, 2, 1, 0, 0, 2], [0, 1, 2, 0, 1, 2, 2]):
        with pytest.raises(IntegrityError, match="ascending order"):
            from_dgc_matrix(dgc(wrong, [0, 3, 3, 5, 7], [1] * 7, [3, 4]))


@pytest.mark.parametrize("names", [(["g"], ["c1", "c2"]), (["g1", "g2", "g3"], ["c1"])])
def test_names_fewer_than_rows_or_columns_are_an_error(names):
    with pytest.raises(IntegrityError, match="A dgCMatrix of 3 × 2 with"):
        from_dgc_matrix(dgc([0, 1], [0, 1, 2], [1, 1], [3, 2], names))


@pytest.mark.parametrize("slot", ["i", "p", "Dim", "x"])
def test_slots_of_other_types_are_an_error(slot):
    matrix = dgc([0, 1], [0, 1, 2], [1, 1], [3, 2])
    held = matrix.attributes[slot].value
    matrix.attributes[slot].value = held.astype(float if held.dtype.kind == "i" else complex)
    with pytest.raises(IntegrityError, match="other types"):
        from_dgc_matrix(matrix)


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (r.integer([1]), "integer"),
        (r.s4("Seurat", "SeuratObject"), "Seurat"),
        (r.plain_list([r.integer([1])]), "integer"),
    ],
)
def test_another_class_is_named(tmp_path, obj, name):
    with pytest.raises(InputError, match=f"class '{name}'"):
        read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))


def test_null_and_a_bare_matrix_are_named(tmp_path, screen):
    matrix = r.dgc_matrix(screen.counts, list(screen.var.index), list(screen.obs.index))
    for obj, name in ((None, "NULL"), (matrix, "dgCMatrix")):
        with pytest.raises(InputError, match=name):
            read_cell_data_sets(write_rds(tmp_path / "a.rds", obj))


def test_values_that_float32_would_change_stay_as_they_are():
    assert exact_float32(np.array([1.0, 2.0**24])).dtype == np.float32
    for value in (2.0**24 + 1, 0.1, 1e300):
        values = np.array([1.0, value])
        assert exact_float32(values) is values


def test_the_real_object_in_the_present_layout(shared_file):
    (found,) = read_cell_data_sets(shared_file(FIRST))
    assert found.counts.shape == (850, 500)
    assert found.counts.dtype == np.float32
    assert found.counts.nnz == 46_600
    assert found.counts.sum() == 119_754
    assert found.obs["gene_id"].value_counts()["NTC"] == 100
    assert list(found.var.columns) == ["id", "gene_short_name"]
    assert found.var.loc["ENSG00000187642.10", "gene_short_name"] == "PERM1"
    assert found.obs["cell"].astype(str).tolist() == found.obs.index.tolist()


def test_the_real_object_agrees_with_rdata(shared_file):
    rdata = pytest.importorskip("rdata")
    path = shared_file(FIRST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes unknown to rdata are what is wanted: plain objects
        other = rdata.conversion.convert(rdata.parser.parse_file(path))
    matrix = next(iter(other.assays.data.listData.values()))
    (found,) = read_cell_data_sets(path)
    expected = sp.csc_matrix((matrix.x, matrix.i, matrix.p), shape=tuple(matrix.Dim)).T
    assert (found.counts != expected).nnz == 0
    for name, column in other.colData.listData.items():
        assert list(found.obs[str(name)]) == list(column)
    assert found.obs.index.tolist() == other.colData.rownames.tolist()


def test_the_real_list_in_the_older_layout(shared_file):
    found = {one.name: one for one in read_cell_data_sets(shared_file(SECOND))}
    assert {name: one.counts.shape for name, one in found.items()} == {
        "A172": (850, 500),
        "T98G": (871, 500),
        "U87MG": (865, 500),
    }
    (first,) = read_cell_data_sets(shared_file(FIRST))
    same(found["A172"], dataclasses.replace(first))
    assert found["T98G"].counts.sum() == 133_582
    assert found["U87MG"].counts.sum() == 173_029
