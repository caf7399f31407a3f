"""What enters is read as it is, or refused with file, place and reason: by every reader alike."""

from __future__ import annotations

import shutil
import warnings
from itertools import pairwise

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from perturbench_lamin.comparison.compare import compare_files
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation.preprocess import preprocess_file
from perturbench_lamin.curation.report import PreprocessParams
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.ingestion.scperturb import open_h5ad
from perturbench_lamin.splitting.obs import read_obs
from perturbench_lamin.storage.anndata_file import AnnDataFile

KEYS = ObsKeys("condition", ("cell_type",))
CELLS, GENES = 60, 12


def screen(seed: int = 0) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    conditions = np.resize(["control", "g1", "g2"], CELLS)
    X = rng.poisson(rng.gamma(1.0, 2.0, GENES) * np.where(conditions == "g1", 2, 1)[:, None])
    obs = pd.DataFrame(
        {"condition": pd.Categorical(conditions), "cell_type": pd.Categorical(np.repeat(["a", "b"], CELLS // 2))},
        index=[f"cell{number}" for number in range(CELLS)],
    )
    var = pd.DataFrame(index=[f"gene{number:02d}" for number in range(GENES)])
    return ad.AnnData(sparse.csr_matrix(X.astype(np.float32)), obs, var)


@pytest.fixture
def path(tmp_path):
    screen().write_h5ad(tmp_path / "raw.h5ad")
    return tmp_path / "raw.h5ad"


def replace(file, name, values, **options):
    kept = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=values, **options).attrs.update(kept)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def everything(path, layer=None):
    with H5adSource(path, layer=layer) as source:
        return sparse.vstack([chunk for _, chunk in source.row_chunks(7)]).toarray()


def logs(adata):
    """log1p expression that half precision holds exactly."""
    made = adata.copy()
    made.X = sparse.csr_matrix(np.log1p(adata.X.toarray() / 3).astype(np.float16).astype(np.float32))
    return made


def curate(path):
    params = PreprocessParams(highly_variable=5, degs=2, min_cells=1)
    return preprocess_file(path, path.with_name("curated.h5ad"), KEYS, params)


def scores(path):
    """Of the file's logarithms as a prediction of another screen."""
    return evaluate(logs(screen(1)), {"m": path}, KEYS, profile="full").table


READERS = {
    "preprocess": curate,
    "evaluate": scores,
    "evaluate the truth": lambda path: evaluate(path, {"m": logs(screen(1))}, KEYS),
    "compare": lambda path: compare_files(path, path),
    "ingest": lambda path: (open_h5ad(path, required_obs=()), everything(path)),
}


# ---- what is valid is read


def by_bytes(file):
    for name in ("data", "indices", "indptr"):
        values = file[f"X/{name}"][:]
        replace(file, f"X/{name}", values.astype(values.dtype.newbyteorder(">")))


def by_dtype(data, numbers):
    def change(file):
        replace(file, "X/data", file["X/data"][:].astype(data))
        for name in ("indices", "indptr"):
            replace(file, f"X/{name}", file[f"X/{name}"][:].astype(numbers))

    return change


def dense(dtype):
    def change(file):
        group = file["X"]
        parts = group["data"][:], group["indices"][:], group["indptr"][:]
        values = sparse.csr_matrix(parts, shape=(CELLS, GENES)).toarray().astype(dtype)
        del file["X"]
        file.create_dataset("X", data=values).attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    return change


def out_of_order(file):
    """Each row's entries backwards, and the first value of all in two parts."""
    indptr, indices, data = (file[f"X/{name}"][:] for name in ("indptr", "indices", "data"))
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in pairwise(indptr)])
    indices, data = indices[order], data[order]
    indices, data = np.concatenate([indices[:1], indices]), np.concatenate([data[:1] - 1, data])
    data[1] = 1
    replace(file, "X/indices", indices)
    replace(file, "X/data", data)
    replace(file, "X/indptr", np.concatenate([[0], indptr[1:] + 1]).astype(indptr.dtype))


def of_0_7(file):
    """Tables as anndata 0.7 wrote them: codes that refer to their categories."""
    for table in ("obs", "var"):
        group = file[table]
        group.attrs["encoding-version"] = "0.1.0"
        for name in group.attrs["column-order"]:
            categories, codes = group[name]["categories"][:], group[name]["codes"][:]
            del group[name]
            known = group.create_dataset(f"__categories/{name}", data=categories, dtype=h5py.string_dtype())
            known.attrs["ordered"] = False
            group.create_dataset(name, data=codes).attrs["categories"] = known.ref
    del file["X"].attrs["encoding-version"]


def of_0_6(file):
    """Tables as records with their categories in uns, X as h5sparse."""
    group, kept = file["X"], dict(file["X"].attrs)
    group.attrs.clear()
    group.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": kept["shape"]})
    for table in ("obs", "var"):
        old = file[table]
        columns = list(old.attrs["column-order"])
        names = old[old.attrs["_index"]][:].astype("S20")
        records = np.zeros(len(names), dtype=[("index", "S20"), *((name, "i1") for name in columns)])
        records["index"] = names
        for name in columns:
            records[name] = old[name]["codes"][:]
            file[f"uns/{name}_categories"] = old[name]["categories"][:]
        del file[table]
        file[table] = records
    for name in ("layers", "obsm", "obsp", "varm", "varp"):
        del file[name]


def nothing(file):
    pass


VALID = {
    "as written": nothing,
    "big-endian": by_bytes,
    "float64, int64": by_dtype("f8", "i8"),
    "float16, uint32": by_dtype("f2", "u4"),
    "uint8, uint64": by_dtype("u1", "u8"),
    "dense float16": dense("f2"),
    "dense big-endian": dense(">f4"),
    "dense int64": dense("i8"),
    "out of order": out_of_order,
    "anndata 0.7": of_0_7,
    "anndata 0.6": of_0_6,
}


WHOLE = ("uint8, uint64", "dense int64", "out of order")
"""Forms that keep counts, but not their logarithms."""


@pytest.mark.parametrize("form", VALID)
def test_what_is_valid_is_read(path, form):
    curated = path.with_name("curated.h5ad")
    expected = curate(path).table(), everything(curated, "X")
    edit(path, VALID[form])
    np.testing.assert_array_equal(everything(path), screen().X.toarray())
    pd.testing.assert_frame_equal(curate(path).table(), expected[0])
    np.testing.assert_array_equal(everything(curated, "X"), expected[1])
    pd.testing.assert_frame_equal(read_obs(path), screen().obs, check_names=False)
    screen().write_h5ad(path.with_name("same.h5ad"))
    assert compare_files(path.with_name("same.h5ad"), path).verdict in ("identical", "equivalent")


@pytest.mark.parametrize("form", [form for form in VALID if form not in WHOLE])
def test_what_is_valid_is_scored(path, form):
    logs(screen()).write_h5ad(path)
    expected = scores(path)
    edit(path, VALID[form])
    pd.testing.assert_frame_equal(scores(path), expected)


def test_entries_stored_twice_are_added_in_a_wider_type(path):
    def change(file):
        by_dtype("u1", "i4")(file)
        values = file["X/data"][:]
        values[0] = 200
        indices, indptr = file["X/indices"][:], file["X/indptr"][:]
        replace(file, "X/data", np.concatenate([values[:1], values]))
        replace(file, "X/indices", np.concatenate([indices[:1], indices]))
        replace(file, "X/indptr", np.concatenate([[0], indptr[1:] + 1]))

    first = int(screen().X.indices[0])
    edit(path, change)
    assert everything(path)[0, first] == 400


def test_nullable_columns_are_read_and_written(tmp_path):
    adata = screen()
    adata.obs["barcode"] = pd.array([f"BC{number}" for number in range(CELLS)], dtype="string")
    adata.obs["plate"] = pd.array([None, *range(CELLS - 1)], dtype="Int64")
    adata.obs["good"] = pd.array([None, *([True] * (CELLS - 1))], dtype="boolean")
    adata.var["gene_ids"] = pd.array([f"ENSG{number:011d}" for number in range(GENES)], dtype="string")
    path = tmp_path / "raw.h5ad"
    with ad.settings.override(allow_write_nullable_strings=True):
        adata.write_h5ad(path, convert_strings_to_categoricals=False)
    curate(path)
    made = ad.read_h5ad(path.with_name("curated.h5ad"))
    assert made.obs["barcode"].tolist() == [f"BC{number}" for number in range(CELLS)]
    assert made.obs["plate"].isna().tolist() == [True, *([False] * (CELLS - 1))]
    assert made.obs["good"].dtype == "boolean"
    assert made.var["gene_ids"].str.startswith("ENSG").all()


def test_a_column_that_cannot_be_written_is_named_before_the_passes(tmp_path):
    adata = screen()
    obs = adata.obs.assign(day=pd.Timestamp("2020-01-01"))
    from perturbench_lamin.curation.preprocess import preprocess
    from perturbench_lamin.curation.source import MatrixSource

    source = MatrixSource(adata.X, adata.obs_names, adata.var_names)
    with pytest.raises(InputError, match=r"Column 'day' holds datetime64.*cannot hold"):
        preprocess(source, obs, adata.var, KEYS, out=tmp_path / "out.h5ad")


def test_zarr_folders_are_read(tmp_path):
    raw, made = tmp_path / "raw.h5ad", tmp_path / "raw.zarr"
    screen().write_h5ad(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        screen().write_zarr(made)
        logs(screen()).write_zarr(tmp_path / "logs.zarr")
    logs(screen()).write_h5ad(tmp_path / "logs.h5ad")
    np.testing.assert_array_equal(everything(made), screen().X.toarray())
    pd.testing.assert_frame_equal(read_obs(made), screen().obs, check_names=False)
    pd.testing.assert_frame_equal(scores(tmp_path / "logs.zarr"), scores(tmp_path / "logs.h5ad"))
    assert compare_files(raw, made).verdict in ("identical", "equivalent")
    pd.testing.assert_frame_equal(curate(made).table(), curate(raw).table())


# ---- the rest is refused


def put(name, at, value):
    def change(file):
        values = file[name][:]
        values[at] = value
        file[name][...] = values

    return change


def convert(name, dtype, at=None, value=None):
    def change(file):
        values = file[name][:].astype(dtype)
        if at is not None:
            values[at] = value
        replace(file, name, values)

    return change


def resize(name, select):
    return lambda file: replace(file, name, select(file[name][()]))


def attribute(name, key, value):
    def change(file):
        del file[name].attrs[key]
        if value is not None:
            file[name].attrs[key] = value

    return change


def drop(name):
    def change(file):
        del file[name]

    return change


def in_turn(*changes):
    def change(file):
        for one in changes:
            one(file)

    return change


REFUSED = {
    "gene number -1": (put("X/indices", 3, -1), "outside 0 to 11: -1"),
    "gene number too large": (put("X/indices", 3, GENES), "outside 0 to 11: 12"),
    "gene number beyond all": (put("X/indices", 3, 2**31 - 1), "outside 0 to 11"),
    "gene number in a row's middle": (put("X/indices", 4, 100_000), "outside 0 to 11"),
    "uint64 gene number": (convert("X/indices", "u8", 3, 2**63), "outside 0 to 11"),
    "fractional gene numbers": (convert("X/indices", "f8", 3, 1.5), "X/indices holds float64"),
    "NaN gene number": (convert("X/indices", "f8", -1, np.nan), "X/indices holds float64"),
    "pointers from 5": (put("X/indptr", 0, 5), "begin at 5"),
    "pointers fall": (put("X/indptr", 4, 3), "they fall"),
    "last pointer too small": (put("X/indptr", -1, 100), "end at 100"),
    "last pointer too large": (put("X/indptr", -1, 10**6), "end at 1,000,000"),
    "fractional pointers": (convert("X/indptr", "f8"), "X/indptr holds float64"),
    "a pointer too few": (resize("X/indptr", lambda values: values[:-1]), "indptr has 60 entries, not 61"),
    "indices too short": (resize("X/indices", lambda values: values[:-3]), "indices has"),
    "data too short": (resize("X/data", lambda values: values[:-3]), "indices has"),
    "data of two dimensions": (resize("X/data", lambda values: values[:, None]), "X/data is an array of 2 dimensions"),
    "complex data": (convert("X/data", "c8"), "X/data holds complex64"),
    "text as data": (convert("X/data", "S4"), "X/data holds"),
    "no indices": (drop("X/indices"), "X has no indices"),
    "no shape": (attribute("X", "shape", None), "X does not say its shape"),
    "shape of three": (attribute("X", "shape", np.array([60, 12, 1])), "X does not say its shape"),
    "another shape": (attribute("X", "shape", np.array([60, 13])), r"\(60, 13\), obs and var say \(60, 12\)"),
    "by the other axis": (attribute("X", "encoding-type", "csc_matrix"), "column pointers of X are inconsistent"),
    "an unknown encoding": (attribute("X", "encoding-type", "coo_matrix"), "stored as 'coo_matrix'"),
    "no encoding": (attribute("X", "encoding-type", None), "group without a type"),
    "dense of fewer rows": (in_turn(dense("f4"), resize("X", lambda X: X[:-10])), r"shape \(50, 12\)"),
    "dense, transposed": (in_turn(dense("f4"), resize("X", lambda X: X.T)), r"shape \(12, 60\)"),
    "dense of one dimension": (in_turn(dense("f4"), resize("X", lambda X: X.ravel())), "X is an array of 1 dim"),
    "dense text": (in_turn(dense("f4"), convert("X", "S3")), "X holds"),
    "no gene names": (resize("var/_index", lambda names: names[:0]), "obs and var say"),
    "fewer cell names": (resize("obs/_index", lambda names: names[:-1]), r"obs has 59 names|say \(59, 12\)"),
    "no index": (attribute("obs", "_index", None), "obs cannot be read"),
    "another index": (attribute("obs", "_index", "nowhere"), "obs cannot be read"),
    "a short column": (resize("obs/cell_type/codes", lambda codes: codes[:-1]), "obs/cell_type has 59 values"),
    "codes out of range": (put("obs/cell_type/codes", 3, 7), "obs/cell_type cannot be read"),
    "an absent column": (drop("obs/cell_type"), "names columns that it has not: 'cell_type'"),
    "a column twice": (
        attribute("obs", "column-order", np.array(["condition"] * 2, dtype=h5py.string_dtype())), "a column twice"
    ),
    "obs is no table": (in_turn(drop("obs"), lambda file: file.create_dataset("obs", data=[1, 2])), "obs is not a tab"),
    "names that are no text": (convert("obs/_index", "S3", 0, b"\xff"), "obs/_index cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_damaged_is_refused(path, fault, reader):
    change, message = REFUSED[fault]
    if reader.startswith("evaluate"):
        logs(screen()).write_h5ad(path)
    edit(path, change)
    with pytest.raises(PerturbenchError, match=message) as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


HUGE = 10**12


def huge_sparse(file):
    for name in ("data", "indices"):
        kind = file[f"X/{name}"].dtype
        del file[f"X/{name}"]
        file.create_dataset(f"X/{name}", (HUGE,), kind, chunks=(1 << 15,), compression="gzip")
    put("X/indptr", -1, 2**31 - 1)(file)


def huge_dense(file):
    del file["X"]
    file.create_dataset("X", (HUGE, GENES), "f4")


def huge_column(file):
    del file["obs/cell_type/codes"]
    file.create_dataset("obs/cell_type/codes", (HUGE,), "i1", chunks=True)


def huge_chunks(file):
    del file["X/data"]
    file.create_dataset("X/data", (100,), "f8", chunks=(100_000_000,), maxshape=(None,), compression="gzip")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("change", [huge_sparse, huge_dense, huge_column, huge_chunks])
def test_what_declares_more_than_it_stores_is_refused(path, change, reader):
    edit(path, change)
    with pytest.raises(IntegrityError, match=r"declares [\d,.]+ GiB, but") as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


def linked(file, name, other):
    with h5py.File(other, "w") as target:
        file.copy(name, target, "there")
    del file[name]
    file[name] = h5py.ExternalLink(other.name, "there")


def stored_elsewhere(file, name, other):
    values, kept = file[name][()], dict(file[name].attrs)
    other.write_bytes(values.tobytes())
    del file[name]
    file.create_dataset(name, values.shape, values.dtype, external=[(str(other), 0, values.nbytes)]).attrs.update(kept)


def virtual(file, name, other):
    values, kept = file[name][()], dict(file[name].attrs)
    with h5py.File(other, "w") as target:
        target["there"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(other, "there", shape=values.shape)
    del file[name]
    file.create_virtual_dataset(name, layout).attrs.update(kept)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["obs/cell_type/codes", "X/data", "X/indptr"])
@pytest.mark.parametrize("way", [linked, stored_elsewhere, virtual])
def test_what_lies_in_another_file_is_refused(path, way, name, reader):
    edit(path, lambda file: way(file, name, path.with_name("other.bin")))
    with pytest.raises(InputError, match=f"{name}.*in(to)? (an|the )?other file|{name} is a link") as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


def test_what_is_not_read_may_not_lie_elsewhere_either(path):
    edit(path, lambda file: file.__setitem__("uns/secret", h5py.ExternalLink("/etc/hostname", "/")))
    with pytest.raises(InputError, match="uns/secret is a link to another file"):
        read_obs(path)


@pytest.mark.parametrize("name", ["obsp/again", "uns/a/b/again"])
@pytest.mark.parametrize("target", ["/", "above"])
def test_a_group_that_holds_itself_is_refused(path, name, target):
    def change(file):
        above = file.require_group(name.rpartition("/")[0])
        file[name] = above if target == "above" else file["/"]

    edit(path, change)
    with pytest.raises(IntegrityError, match=f"{name} is a group that holds itself"):
        read_obs(path)


def test_two_names_of_one_group_are_no_circle(path):
    edit(path, lambda file: file.__setitem__("uns/again", file["obs"]))
    assert len(read_obs(path)) == CELLS


def test_an_array_in_place_of_a_group_is_refused(path):
    edit(path, in_turn(drop("varp"), lambda file: file.create_dataset("varp", data=[1, 2])))
    with pytest.raises(IntegrityError, match="varp is not a group"):
        compare_files(path, path)


def test_big_endian_columns_are_read_and_written(path):
    edit(path, lambda file: ad.io.write_elem(file, "obs", screen().obs.assign(depth=np.arange(CELLS, dtype=">i4"))))
    curate(path)
    assert ad.read_h5ad(path.with_name("curated.h5ad")).obs["depth"].tolist() == list(range(CELLS))


def test_what_preprocess_cannot_take_names_the_file(path):
    edit(path, put("obs/cell_type/codes", 3, -1))
    with pytest.raises(InputError, match=r"has no value in 1 cells \[.*raw\.h5ad"):
        curate(path)


def test_a_link_within_the_file_is_followed(path):
    edit(path, lambda file: file.move("X/data", "uns/values"))
    edit(path, lambda file: file.__setitem__("X/data", h5py.SoftLink("/uns/values")))
    np.testing.assert_array_equal(everything(path), screen().X.toarray())


def test_a_link_to_nowhere_is_refused(path):
    edit(path, lambda file: (file.__delitem__("X/data"), file.__setitem__("X/data", h5py.SoftLink("/nowhere"))))
    with pytest.raises(IntegrityError, match="X/data cannot be read"):
        everything(path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["X", "obs/cell_type/codes"])
def test_a_damaged_piece_names_its_file_and_place(path, name, reader):
    edit(path, dense("f4"))
    edit(path, lambda file: replace(file, name, file[name][()], compression="gzip"))
    with h5py.File(path) as file:
        at = file[name].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(at + 4)
        raw.write(bytes(20))
    place = name.removesuffix("/codes")
    with pytest.raises(IntegrityError, match=rf"(?s){place} cannot be read .*fetch it again") as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


def test_a_heap_of_texts_without_an_end_is_refused(path):
    data = bytearray(path.read_bytes())
    at = data.find(b"GCOL") + 16
    data[at : at + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="heap of texts"):
        read_obs(path)


def test_a_truncated_file_is_refused_by_every_reader(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for read in READERS.values():
        with pytest.raises(IntegrityError, match="Truncated or corrupt HDF5 file"):
            read(path)


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a zarr store"):
        AnnDataFile(tmp_path)


def test_a_zarr_folder_with_a_link_out_of_it_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        screen().write_zarr(tmp_path / "raw.zarr")
    chunk = next(path for path in (tmp_path / "raw.zarr" / "X" / "data").rglob("*") if path.is_file())
    shutil.move(chunk, tmp_path / "outside")
    chunk.symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="is a link out of the folder"):
        AnnDataFile(tmp_path / "raw.zarr")


# ---- in memory


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("indices", 3, -1, "number is outside"),
        ("indices", 3, 2**31 - 1, "number is outside"),
        ("indptr", 0, 5, "pointers"),
        ("indptr", -1, 10**6, "pointers"),
        ("indptr", 3, 100, "pointers"),
    ],
)
def test_objects_in_memory_pass_the_same_checks(make, name, at, value, message):
    bad = logs(screen())
    X = make(bad.X)
    bad.X = X
    getattr(bad.X, name)[at] = value
    for truth, prediction in ((bad, logs(screen(1))), (logs(screen(1)), bad)):
        with pytest.raises(InputError, match=message):
            evaluate(truth, {"m": prediction}, KEYS)


def test_half_precision_in_memory_is_scored():
    half = logs(screen())
    half.X = half.X.toarray().astype(np.float16)
    pd.testing.assert_frame_equal(scores(half), scores(logs(screen())))


def test_an_object_on_disk_is_scored_as_its_file(tmp_path):
    for name, make in (("csr", sparse.csr_matrix), ("csc", sparse.csc_matrix), ("dense", lambda X: X.toarray())):
        adata = logs(screen())
        adata.X = make(adata.X)
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
        backed = ad.read_h5ad(tmp_path / f"{name}.h5ad", backed="r")
        pd.testing.assert_frame_equal(scores(backed), scores(tmp_path / f"{name}.h5ad"))
        backed.file.close()
