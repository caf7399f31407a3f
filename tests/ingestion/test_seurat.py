import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.seurat import read_seurat
from perturbench_lamin.simulation import r_values as r
from perturbench_lamin.simulation.rds_writer import write_rds
from perturbench_lamin.simulation.seurat_values import seurat

CELLS = [f"c{n}" for n in range(6)]
GENES = [f"g{n}" for n in range(4)]


@pytest.fixture
def counts():
    drawn = sp.random_array((6, 4), density=0.6, format="csr", rng=np.random.default_rng(0))
    drawn.data = np.ceil(drawn.data * 9).astype(np.float32)
    return sp.csr_matrix(drawn)


@pytest.fixture
def obs():
    return pd.DataFrame({"gene": pd.Categorical(list("abcabc")), "n": np.arange(6)}, index=CELLS)


def save(folder, obj):
    return write_rds(folder / "a.rds", obj)


def log_map(names, layers):
    """SeuratObject 5's class: a logical matrix, names × layers."""
    inside = np.array([[name in held for name in names] for held in layers.values()], dtype=np.int32)
    return RObject(
        "logical",
        inside.ravel(),
        {
            "dim": r.integer([len(names), len(layers)]),
            "dimnames": r.plain_list([r.character(names), r.character(layers)]),
            "class": RObject("character", ["LogMap"], {"package": r.character(["SeuratObject"])}),
        },
    )


def bare(matrix):
    """A layer's matrix, which has no names of its own."""
    obj = r.dgc_matrix(matrix, [], [])
    obj.attributes |= {"Dim": r.integer(matrix.shape[::-1]), "Dimnames": r.plain_list([None, None])}
    return obj


def seurat5(obs, layers, cells, features=None, genes=GENES):
    """A Seurat object with an ``Assay5``: layer → matrix, layer → cells, layer → genes."""
    assay = r.s4(
        "Assay5",
        "SeuratObject",
        layers=r.named_list({name: bare(matrix) for name, matrix in layers.items()}),
        cells=log_map(list(obs.index), cells),
        features=log_map(genes, features or dict.fromkeys(layers, genes)),
        default=r.integer([1]),
        **{"assay.orig": r.character([]), "meta.data": r.base_table(pd.DataFrame(index=genes)), "key": r.NULL},
    )
    obj = seurat(sp.csr_matrix((len(obs), len(genes)), dtype=np.float32), obs, genes)
    obj.attributes["assays"] = r.named_list({"RNA": assay})
    return obj


def test_counts_cells_and_genes(tmp_path, counts, obs):
    found = read_seurat(save(tmp_path, seurat(counts, obs, GENES)))
    assert found.assay == "RNA"
    assert (found.counts != counts).nnz == 0
    assert found.counts.dtype == np.float32
    pd.testing.assert_frame_equal(found.obs, obs, check_dtype=False, check_index_type=False)
    assert list(found.var.index) == GENES


def test_the_active_assay_is_taken_where_none_is_called_rna(tmp_path, counts, obs):
    obj = seurat(counts, obs, GENES)
    obj.slot("assays").attributes["names"] = r.character(["SCT"])
    obj.attributes["active.assay"] = r.character(["SCT"])
    assert read_seurat(save(tmp_path, obj)).assay == "SCT"


def test_an_unknown_assay_names_the_nearest(tmp_path, counts, obs):
    with pytest.raises(InputError, match="Did you mean RNA"):
        read_seurat(save(tmp_path, seurat(counts, obs, GENES)), assay="RNAs")


def test_layers_of_one_matrix(tmp_path, counts, obs):
    data = counts.astype(np.float64) * 0.3
    held = dict.fromkeys(("counts", "data"), CELLS)
    found = read_seurat(save(tmp_path, seurat5(obs, {"counts": counts, "data": data}, held)))
    assert (found.counts != counts).nnz == 0
    assert list(found.obs.index) == CELLS
    assert list(found.var.index) == GENES


def test_layers_split_by_sample_come_together_in_the_order_of_the_cells(tmp_path, counts, obs):
    first, second = [0, 3, 4], [1, 2, 5]
    layers = {"counts.2": counts[second], "data.1": counts[first] * 0.5, "counts.1": counts[first]}
    held = {name: [CELLS[row] for row in (second if name.endswith("2") else first)] for name in layers}
    found = read_seurat(save(tmp_path, seurat5(obs, layers, held)))
    assert (found.counts != counts).nnz == 0


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_whatever_the_counts_and_however_they_are_split_they_come_back(tmp_path_factory, data):
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 5)))
    value = st.sampled_from([0, 0, 1, 2, 255, 2**24, 2**24 + 1, 2**31])
    dense = data.draw(arrays(np.float64, size, elements=value))
    order = data.draw(st.permutations(range(size[0])))
    cut = data.draw(st.integers(0, size[0]))
    rows = {"counts.a": sorted(order[:cut]), "counts.b": sorted(order[cut:])}
    names, genes = [f"c{n}" for n in range(size[0])], [f"g{n}" for n in range(size[1])]
    cells = pd.DataFrame(index=names)
    layers = {name: sp.csr_matrix(dense[held]) for name, held in rows.items()}
    obj = seurat5(cells, layers, {name: [names[row] for row in held] for name, held in rows.items()}, genes=genes)
    found = read_seurat(save(tmp_path_factory.mktemp("any"), obj))
    np.testing.assert_array_equal(found.counts.toarray(), dense)
    assert (list(found.obs.index), list(found.var.index)) == (names, genes)


def test_an_assay_of_fewer_cells_and_genes_than_the_object_has(tmp_path, counts, obs):
    held = [CELLS[row] for row in (0, 2, 5)]
    obj = seurat5(obs, {"counts": counts[[0, 2, 5]][:, [1, 3]]}, {"counts": held}, {"counts": ["g1", "g3"]})
    assay = obj.slot("assays").value[0]
    assay.attributes["cells"] = log_map(held, {"counts": held})
    assay.attributes["meta.data"] = r.base_table(pd.DataFrame({"id": list("wxyz")}, index=GENES))
    found = read_seurat(save(tmp_path, obj))
    assert (found.counts != counts[[0, 2, 5]][:, [1, 3]]).nnz == 0
    assert list(found.obs.index) == held
    assert list(found.obs["n"]) == [0, 2, 5]
    assert found.var["id"].to_dict() == {"g1": "x", "g3": "z"}


def test_layers_of_different_genes_say_how_to_join_them(tmp_path, counts, obs):
    layers = {"counts.1": counts[:3], "counts.2": counts[3:, :3]}
    held = {"counts.1": CELLS[:3], "counts.2": CELLS[3:]}
    genes = {"counts.1": GENES, "counts.2": GENES[:3]}
    with pytest.raises(InputError, match="JoinLayers"):
        read_seurat(save(tmp_path, seurat5(obs, layers, held, genes)))


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"counts.1": CELLS[:3], "counts.2": CELLS[2:5]}, "every cell once"),
        ({"counts.1": CELLS[:2], "counts.2": CELLS[3:]}, "2 cells and 4 genes are named"),
        ({"counts.1": CELLS[:3]}, "do not know the layer 'counts.2'"),
    ],
)
def test_layers_that_contradict_their_names_are_errors(tmp_path, counts, obs, held, message):
    with pytest.raises(IntegrityError, match=message):
        read_seurat(save(tmp_path, seurat5(obs, {"counts.1": counts[:3], "counts.2": counts[3:]}, held)))


def test_no_layer_of_counts_says_what_there_is(tmp_path, counts, obs):
    with pytest.raises(InputError, match="Its layers: data"):
        read_seurat(save(tmp_path, seurat5(obs, {"data": counts}, {"data": CELLS})))


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan])
def test_values_that_are_no_counts_are_named(tmp_path, counts, obs, value):
    obj = seurat(counts, obs, GENES)
    obj.slot("assays").value[0].slot("counts").slot("x").value[3] = value
    with pytest.raises(InputError, match=f"no raw counts: {value}"):
        read_seurat(save(tmp_path, obj))


def test_an_assay_without_counts_says_so(tmp_path, counts, obs):
    obj = seurat(counts, obs, GENES)
    obj.slot("assays").value[0].attributes["counts"] = RObject("double", np.zeros(0), {"dim": r.integer([0, 0])})
    with pytest.raises(InputError, match="or empty"):
        read_seurat(save(tmp_path, obj))


def test_a_table_of_other_cells_is_an_error(tmp_path, counts, obs):
    obj = seurat(counts, obs, GENES)
    obj.attributes["meta.data"] = r.base_table(obs.rename({"c4": "other"}))
    with pytest.raises(IntegrityError, match="'other' and 'c4'"):
        read_seurat(save(tmp_path, obj))
    obj.attributes["meta.data"] = r.base_table(obs.iloc[:5])
    with pytest.raises(IntegrityError, match="5 rows for 6"):
        read_seurat(save(tmp_path, obj))


@pytest.mark.parametrize(
    ("obj", "name"),
    [(r.integer([1]), "integer"), (r.s4("seurat", "Seurat"), "UpdateSeuratObject"), (None, "NULL")],
)
def test_another_class_is_named(tmp_path, obj, name):
    with pytest.raises(InputError, match=name):
        read_seurat(save(tmp_path, obj))


def test_a_truncated_file_is_an_error(tmp_path, counts, obs):
    path = save(tmp_path, seurat(counts, obs, GENES))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(IntegrityError):
        read_seurat(path)


@pytest.mark.parametrize("other", [None, r.integer([1]), r.character([]), r.plain_list([])])
@pytest.mark.parametrize("slot", ["assays", "meta.data"])
def test_an_object_that_lacks_a_part_or_has_another_kind_there_names_the_file(tmp_path, counts, obs, slot, other):
    obj = seurat(counts, obs, GENES)
    obj.attributes[slot] = other or r.NULL
    path = save(tmp_path, obj)
    with pytest.raises((InputError, IntegrityError)) as caught:
        read_seurat(path)
    assert str(path) in str(caught.value)
