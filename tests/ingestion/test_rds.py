"""Streams written byte by byte, so that the reader is not only held to the writer beside it."""

import bz2
import gzip
import lzma
import resource
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError
from perturbench_lamin.ingestion import r_reader, rds
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.rds import read_rds

NULL, PAIRLIST, CLOSURE, ENV, CHAR, INT, REAL, STR, LIST, BCODE, S4 = 254, 2, 3, 4, 9, 13, 14, 16, 19, 21, 25
EMPTY, ALTREP, BASE, GLOBAL = 242, 238, 241, 253
ATTRIBUTES, TAG, OBJECT, ASCII, UTF8, LATIN1 = 1 << 9, 1 << 10, 1 << 8, 1 << 18, 1 << 15, 1 << 14


def i(*values):
    return struct.pack(f">{len(values)}i", *values)


def text(value, flag=ASCII):
    return i(CHAR | flag, len(value)) + value


def symbol(name):
    return i(1) + text(name)


def integers(*values):
    return i(INT, len(values), *values)


def strings(*values):
    return i(STR, len(values)) + b"".join(text(value) for value in values)


def items(*values):
    return i(LIST, len(values)) + b"".join(values)


def pair(name, value):
    return i(PAIRLIST | TAG) + symbol(name) + value


HEADER_2 = b"X\n" + i(2, 0x040202, 0x020300)
HEADER_3 = b"X\n" + i(3, 0x040202, 0x030500, 5) + b"UTF-8"


@pytest.fixture
def read(tmp_path):
    def run(*parts, header=HEADER_3):
        path = tmp_path / "a.rds"
        path.write_bytes(header + b"".join(parts))
        return read_rds(path)

    return run


def test_vectors(read):
    found = read(
        items(
            integers(1, -(2**31)),
            i(REAL, 2) + struct.pack(">2d", 0.5, -1e300),
            strings(b"a", b"", b"b"),
            i(10, 3, 0, 1, -(2**31)),
            i(24, 3) + b"\x00\x01\xff",
            i(NULL),
        )
    )
    integer, double, character, logical, raw, null = found.value
    assert integer.value.tolist() == [1, -(2**31)]
    assert integer.value.dtype.isnative
    assert double.value.tolist() == [0.5, -1e300]
    assert character.value == ["a", "", "b"]
    assert logical.kind == "logical"
    assert logical.value.tolist() == [0, 1, -(2**31)]
    assert raw.value.tolist() == [0, 1, 255]
    assert null is None


def test_version_2_and_the_native_byte_order(read, tmp_path):
    assert read(integers(5), header=HEADER_2).value.tolist() == [5]
    path = tmp_path / "b.rds"
    path.write_bytes(b"B\n" + struct.pack("<3i", 2, 0, 0) + struct.pack("<3i", INT, 1, 7))
    assert read_rds(path).value.tolist() == [7]


def test_encodings_and_missing_strings(read):
    latin = i(CHAR | LATIN1, 1) + b"\xfc"
    utf = i(CHAR | UTF8, 2) + "ü".encode()
    unmarked = i(CHAR, 2) + "ü".encode()
    found = read(i(STR, 5) + latin + utf + unmarked + latin + i(CHAR, -1))
    assert found.value == ["ü", "ü", "ü", "ü", None]


def test_the_same_bytes_in_two_encodings_are_two_strings(read):
    both = "ü".encode()
    found = read(i(STR, 3) + i(CHAR | UTF8, 2) + both + i(CHAR | LATIN1, 2) + both + i(CHAR | UTF8, 2) + both)
    assert found.value == ["ü", "Ã¼", "ü"]


def test_a_string_that_is_not_what_it_says_is_an_error(read):
    with pytest.raises(InputError, match="not utf-8"):
        read(i(STR, 1) + i(CHAR | UTF8, 1) + b"\xfc")


def test_attributes_and_references(read):
    first = i(INT | ATTRIBUTES, 1, 1) + pair(b"names", strings(b"x")) + i(NULL)
    second = i(INT | ATTRIBUTES, 1, 2) + i(PAIRLIST | TAG) + i(1 << 8 | 255) + strings(b"y") + i(NULL)
    found = read(items(first, second))
    assert [obj.names for obj in found.value] == [["x"], ["y"]]


def test_a_reference_to_nothing_is_an_error(read):
    with pytest.raises(IntegrityError, match="Reference 3"):
        read(i(3 << 8 | 255))


def test_an_environment_is_read_from_its_frame_and_its_table_and_may_hold_itself(read):
    frame = pair(b"a", integers(1)) + i(NULL)
    table = i(LIST, 2) + i(NULL) + pair(b"b", integers(2)) + pair(b"self", i(1 << 8 | 255)) + i(NULL)
    found = read(i(ENV, 0, EMPTY) + frame + table + i(NULL))
    assert found.element("a").value.tolist() == [1]
    assert found.element("b").value.tolist() == [2]
    assert found.element("self") is found
    assert found.element("c") is None


def test_a_long_vector(read):
    found = read(items(i(INT, -1, 0, 3, 7, 8, 9), integers(1)))
    assert found.value[0].value.tolist() == [7, 8, 9]
    assert found.value[1].value.tolist() == [1]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([i(INT, 2**31 - 1)], "ends in the middle"),
        ([i(REAL, -1, 2**20, 0)], "contradict each other|ends in the middle"),
        ([i(STR, 2**31 - 1)], "ends in the middle"),
        ([i(CHAR | ASCII, 2**30)], "A text of"),
        ([i(LIST, 2**31 - 1)], "ends in the middle"),
        ([i(8, -4)], "A text of"),
    ],
)
def test_a_length_that_lies_is_an_error_and_takes_no_memory(read, parts, message):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError, match=message):
        read(*parts)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 18  # KiB


def test_a_sequence_that_lies_of_its_length_is_an_error(read):
    with pytest.raises(IntegrityError, match="A sequence of"):
        read(altrep(b"compact_intseq", i(REAL, 3) + struct.pack(">3d", 2**31 - 1, 1, 1)))


def test_a_nest_without_end_is_an_error(read):
    with pytest.raises(InputError, match="nested too deeply"):
        read(i(LIST, 1) * 100_000)


def test_more_objects_or_bytes_than_any_file_has_are_refused(read, monkeypatch):
    monkeypatch.setattr(r_reader, "MOST_OBJECTS", 10)
    with pytest.raises(IntegrityError, match="more than 10 objects"):
        read(items(*[i(NULL)] * 20))
    monkeypatch.setattr(rds, "SMALL", 10)
    monkeypatch.setattr(rds, "MOST_TIMES", 0)
    with pytest.raises(IntegrityError, match="far more than its size"):
        read(integers(*range(9)))


def test_a_negative_length_is_an_error(read):
    with pytest.raises(IntegrityError, match="length -5"):
        read(i(INT, -5))


def altrep(name, state, attributes=None):
    info = i(PAIRLIST) + symbol(name) + i(PAIRLIST) + symbol(b"base") + i(PAIRLIST) + integers(13) + i(NULL)
    return i(ALTREP) + info + state + (attributes or i(NULL))


def test_alternative_representations(read):
    sequence = i(REAL, 3) + struct.pack(">3d", 4, 10, 1)
    backwards = i(REAL, 3) + struct.pack(">3d", 3, 3, -1)
    names = pair(b"names", strings(b"x", b"y", b"z")) + i(NULL)
    labels = i(PAIRLIST) + integers(5, -(2**31)) + integers(0)  # a dotted pair: the labelled, and R's scipen
    wrapped = items(integers(1, 2), integers(0, 0))
    for state, name, attributes, expected in (
        (sequence, b"compact_intseq", None, [10, 11, 12, 13]),
        (backwards, b"compact_intseq", names, [3, 2, 1]),
        (sequence, b"compact_realseq", None, [10.0, 11.0, 12.0, 13.0]),
        (labels, b"deferred_string", None, ["5", None]),
        (wrapped, b"wrap_integer", None, [1, 2]),
    ):
        found = read(altrep(name, state, attributes))
        assert list(found.value) == expected
        assert bool(found.names) == (attributes is not None)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        (b"mmap_real", integers(1)),
        (b"deferred_string", i(PAIRLIST) + i(REAL, 1) + struct.pack(">d", 0.1) + integers(0)),
    ],
)
def test_an_unknown_representation_says_what_to_do_in_r(read, name, state):
    with pytest.raises(InputError, match="version = 2"):
        read(altrep(name, state))


def language(name):
    return i(6) + symbol(name) + i(NULL)


def byte_code():
    """A body with every shape that byte code has: shared, attributed and nested language, and byte code in it."""
    lang, attributed, shared, shared_again = 6, 240, 244, 243
    tagless = i(NULL)
    plain_item = i(0) + integers(1)
    call = i(lang) + tagless + plain_item + i(0) + i(NULL)
    with_attributes = i(attributed) + pair(b"srcref", integers(9)) + i(NULL) + tagless + plain_item + i(0) + i(NULL)
    definition = i(shared, 0, lang) + tagless + call + i(PAIRLIST) + tagless + plain_item + i(shared_again, 0)
    inner = i(BCODE) + integers(12) + i(1) + i(INT) + integers(3)
    constants = call + with_attributes + definition + i(shared_again, 0) + inner + i(STR) + strings(b"constant")
    return i(BCODE | ATTRIBUTES, 1) + integers(12, 1) + i(6) + constants + pair(b"x", integers(1)) + i(NULL)


def test_code_is_walked_over(read):
    closure = i(CLOSURE | ATTRIBUTES | TAG) + pair(b"srcref", integers(1)) + i(NULL) + i(GLOBAL) + i(NULL) + byte_code()
    closure_with_tag = i(CLOSURE | TAG) + i(BASE) + i(NULL) + language(b"quote")
    builtin = i(8, 3) + b"sum"
    pointer = i(22) + i(NULL) + i(NULL)
    namespace = i(249, 0, 1) + text(b"methods")
    found = read(items(closure, closure_with_tag, builtin, pointer, namespace, language(b"f"), integers(42)))
    assert [obj.kind for obj in found.value[:-1]] == ["other"] * 6
    assert found.value[-1].value.tolist() == [42]


def test_objects_may_be_made_smaller_at_once(tmp_path):
    def s4(r_class, value):
        declared = i(STR, 1) + text(r_class)
        return i(S4 | OBJECT | ATTRIBUTES) + pair(b"x", integers(value)) + pair(b"class", declared) + i(NULL)

    path = tmp_path / "a.rds"
    path.write_bytes(HEADER_3 + items(s4(b"small", 3), s4(b"other", 4)))
    found = read_rds(path, {"small": lambda obj: int(obj.slot("x").value[0])})
    assert found.value[0] == 3
    assert found.value[1].r_class == "other"


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, lambda data: gzip.compress(gzip.compress(data))],
    ids=["gzip", "bzip2", "xz", "gzip twice"],
)
def test_compressions_are_recognised_by_content_and_damage_is_an_error(tmp_path, compress):
    data = HEADER_3 + integers(*range(5000))
    path = tmp_path / "a.anything"
    path.write_bytes(compress(data))
    assert read_rds(path).value.tolist() == list(range(5000))
    whole = compress(data)
    for end in (len(whole) - 1, len(whole) // 2, 20):
        path.write_bytes(whole[:end])
        with pytest.raises(IntegrityError):
            read_rds(path)


def test_a_wrong_checksum_at_the_end_of_the_compression_is_an_error(tmp_path):
    whole = gzip.compress(HEADER_3 + integers(1))
    (tmp_path / "a.rds").write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    with pytest.raises(IntegrityError, match="CRC"):
        read_rds(tmp_path / "a.rds")


def test_bytes_after_the_object_are_an_error(read):
    with pytest.raises(IntegrityError, match="4 bytes follow"):
        read(integers(1), i(0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RDX3\nX\n", "RData file of save"),
        (b"A\n3\n", "RDS of text"),
        (b"<html>", "not an RDS file"),
        (b"", "not an RDS file"),
        (b"X\n" + i(4, 0, 0), "Version 4"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    (tmp_path / "a.rds").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_rds(tmp_path / "a.rds")


SAMPLE = HEADER_3 + items(
    integers(1, 2),
    strings(b"a", b"bc"),
    i(ENV, 0, EMPTY) + pair(b"a", integers(1)) + i(NULL) * 3,
    i(INT | ATTRIBUTES | OBJECT, 1, 1) + pair(b"levels", strings(b"x")) + pair(b"class", strings(b"factor")) + i(NULL),
    altrep(b"compact_intseq", i(REAL, 3) + struct.pack(">3d", 4, 10, 1)),
    i(CLOSURE) + i(NULL) + byte_code(),
)


def test_the_sample_is_valid(tmp_path):
    (tmp_path / "a.rds").write_bytes(SAMPLE)
    assert len(read_rds(tmp_path / "a.rds").value) == 6


def test_a_file_cut_anywhere_is_an_error(tmp_path):
    path = tmp_path / "a.rds"
    for end in range(len(SAMPLE)):
        path.write_bytes(SAMPLE[:end])
        with pytest.raises(PerturbenchError):
            read_rds(path)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, len(SAMPLE) - 1), value=st.integers(0, 255))
def test_a_flipped_byte_never_escapes_as_another_error(tmp_path_factory, position, value):
    path = tmp_path_factory.getbasetemp() / "flipped.rds"
    path.write_bytes(SAMPLE[:position] + bytes([value]) + SAMPLE[position + 1 :])
    try:
        found = read_rds(path)
    except PerturbenchError:
        return
    assert found is None or isinstance(found, RObject)


def test_arrays_are_writable_and_native(read):
    values = read(integers(3, 4)).value
    values += 1
    assert values.dtype == np.int32
