import gzip
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.rds import read_rds
from perturbench_lamin.simulation import r_values as r
from perturbench_lamin.simulation.rds_writer import write_rds

names = st.text(min_size=1, max_size=5)
int32 = st.integers(-(2**31), 2**31 - 1)
vectors = (
    st.lists(int32, max_size=4).map(r.integer)
    | st.lists(st.floats(), max_size=4).map(r.double)
    | st.lists(st.none() | st.text(max_size=5), max_size=4).map(r.character)
    | st.just(r.NULL)
    | st.none()
)


def containers(children):
    tables = st.dictionaries(names, children, max_size=3)
    return (
        st.lists(children, max_size=3).map(r.plain_list)
        | tables.map(r.named_list)
        | tables.map(r.environment)
        | tables.map(lambda slots: r.s4("Some", "package", **{k: v for k, v in slots.items() if k not in RESERVED}))
    )


RESERVED = {"class", "r_class", "package"}
objects = st.recursive(vectors, containers, max_leaves=12)


def equal(a, b):
    if a is None or b is None:
        return a is b
    if (a.kind, list(a.attributes)) != (b.kind, list(b.attributes)):
        return False
    if not all(equal(a.attributes[name], b.attributes[name]) for name in a.attributes):
        return False
    if isinstance(a.value, np.ndarray):
        return a.value.dtype == b.value.dtype and np.array_equal(a.value, b.value, equal_nan=a.kind == "double")
    if a.kind == "list":
        return len(a.value) == len(b.value) and all(map(equal, a.value, b.value))
    if a.kind == "environment":
        return list(a.value) == list(b.value) and all(equal(a.value[name], b.value[name]) for name in a.value)
    return a.value == b.value


@settings(max_examples=150, deadline=None)
@given(obj=objects)
def test_what_is_written_is_read(tmp_path_factory, obj):
    path = tmp_path_factory.getbasetemp() / "roundtrip.rds"
    assert equal(read_rds(write_rds(path, obj)), obj)


def test_an_environment_that_comes_twice_is_one(tmp_path):
    shared = r.environment({"x": r.integer([1])})
    found = read_rds(write_rds(tmp_path / "a.rds", r.plain_list([shared, shared])))
    assert found.value[0] is found.value[1]


def test_the_same_object_gives_the_same_bytes(tmp_path):
    obj = r.named_list({"a": r.integer([1, 2]), "b": r.character(["x"])})
    first, second = write_rds(tmp_path / "a.rds", obj), write_rds(tmp_path / "b.rds", obj)
    assert first.read_bytes() == second.read_bytes()


def test_the_bytes_are_those_of_the_format(tmp_path):
    content = gzip.decompress(write_rds(tmp_path / "a.rds", r.character(["a", "ü", None])).read_bytes())
    expected = (
        "580a 00000003 00040202 00030500 00000005 5554462d38"
        "00000010 00000003 00040009 00000001 61 00008009 00000002 c3bc 00000009 ffffffff"
    )
    assert content == bytes.fromhex(expected)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="'other'"):
        write_rds(tmp_path / "a.rds", r.plain_list([r.integer([1]), RObject("other")]))
    assert list(tmp_path.iterdir()) == []


def test_rdata_reads_it_too(tmp_path):
    rdata = pytest.importorskip("rdata")
    inner = r.s4("Some", "package", x=r.double([0.5]), fields=r.environment({"y": r.character(["a"])}))
    path = write_rds(tmp_path / "a.rds", r.named_list({"n": r.integer([1, 2]), "s": inner}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the class is of no package that rdata knows
        found = rdata.conversion.convert(rdata.parser.parse_file(path))
    assert found["n"].tolist() == [1, 2]
    assert found["s"].x.tolist() == [0.5]
    assert found["s"].fields["y"].tolist() == ["a"]
