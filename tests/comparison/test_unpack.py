"""Archives that want more than they should get."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from perturbench_lamin.comparison.unpack import unpack_gzip, unpack_tar, unpacked
from perturbench_lamin.errors import IntegrityError


def archive(path, *members):
    """Members are (name, content) or (name, type, link name)."""
    with tarfile.open(path, "w:gz") as made:
        for name, *rest in members:
            info = tarfile.TarInfo(name)
            if isinstance(rest[0], bytes) and len(rest) == 1:
                info.size = len(rest[0])
                made.addfile(info, io.BytesIO(rest[0]))
            else:
                info.type, info.linkname = rest
                made.addfile(info)
    return path


def test_files_and_folders_come_out(tmp_path):
    path = archive(tmp_path / "a.tar.gz", ("in", tarfile.DIRTYPE, ""), ("in/b.csv", b"b"), ("a.csv", b"a"))
    found = unpack_tar(path, tmp_path / "out")
    assert [(file.relative_to(tmp_path / "out").as_posix(), file.read_bytes()) for file in found] == [
        ("a.csv", b"a"),
        ("in/b.csv", b"b"),
    ]
    path.unlink()
    assert unpack_tar(path, tmp_path / "out") == found, "what is there is kept"


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b"x"),
        ("/absolute/evil", b"x"),
        ("in/../../evil", b"x"),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.LNKTYPE, "good.csv"),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_nothing_is_written_outside_and_no_links(tmp_path, member):
    path = archive(tmp_path / "a.tar.gz", ("good.csv", b"a"), member)
    (tmp_path / "deep").mkdir()
    with pytest.raises(IntegrityError, match=r"outside|link or device"):
        unpack_tar(path, tmp_path / "deep" / "out")
    assert {file.name for file in tmp_path.rglob("*")} == {"a.tar.gz", "deep"}
    assert not Path("/absolute").exists()


def test_more_bytes_than_expected_are_refused(tmp_path):
    path = archive(tmp_path / "a.tar.gz", ("a", bytes(600)), ("b", bytes(600)))
    with pytest.raises(IntegrityError, match="more than 1,000 bytes"):
        unpack_tar(path, tmp_path / "out", largest=1000)
    packed = tmp_path / "b.gz"
    packed.write_bytes(gzip.compress(bytes(10_000)))
    with pytest.raises(IntegrityError, match="more than 1,000 bytes"):
        unpack_gzip(packed, tmp_path / "b", largest=1000)
    assert {file.name for file in tmp_path.iterdir()} == {"a.tar.gz", "b.gz"}


@pytest.mark.parametrize("cut", [5, 40])
def test_a_file_cut_short_is_refused(tmp_path, cut):
    path = archive(tmp_path / "a.tar.gz", ("a", b"some content"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(IntegrityError, match="Truncated or corrupt"):
        unpack_tar(path, tmp_path / "out")
    packed = tmp_path / "b.h5ad.gz"
    packed.write_bytes(gzip.compress(bytes(range(256)) * 10)[:cut])
    with pytest.raises(IntegrityError, match="Truncated or corrupt"), unpacked(packed):
        pass
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, mode):
    """tarfile alone stops at the first header that it does not understand, and never reads gzip's checksum."""
    path, content = tmp_path / "a.tar", {name: (name * 400).encode() for name in ("a.csv", "b.csv", "in/c.csv")}
    with tarfile.open(path, mode) as made:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    whole, refused = path.read_bytes(), 0
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        try:
            found = unpack_tar(path, tmp_path / "out" / str(at))
        except IntegrityError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
        else:
            there = {file.relative_to(tmp_path / "out" / str(at)).as_posix(): file.read_bytes() for file in found}
            # A tar file without compression has checksums of its headers alone.
            assert there == content or (mode == "w" and list(there) == list(content))
    assert refused > (5 if mode == "w" else 60)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tar: tar[: 4 * 512], "no end"),
        (lambda tar: tar + b"more", "what follows the last member is none"),
        (lambda tar: tar + tar, "what follows the last member is none"),
        (lambda tar: tar[: 2 * 512] + b"x" + tar[2 * 512 + 1 :], "what follows the last member is none"),
        (lambda tar: b"x" + tar[1:], "Truncated or corrupt"),
    ],
)
def test_an_archive_is_read_to_its_end(tmp_path, change, message):
    path = archive(tmp_path / "a.tar.gz", ("a.csv", b"a"), ("b.csv", b"b"))
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    with pytest.raises(IntegrityError, match=message):
        unpack_tar(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "members",
    [
        [("a", b"1"), ("a", b"2")],
        [("a", b"1"), ("./a", b"2")],
        [("a", b"1"), ("a/b", b"2")],
        [("a/b", b"1"), ("a", b"2")],
        [("a\nb", b"1")],
    ],
)
def test_members_that_share_or_hide_a_name_are_refused(tmp_path, members):
    with pytest.raises(IntegrityError, match=r"one name|unprintable or there twice"):
        unpack_tar(archive(tmp_path / "a.tar.gz", *members), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_header_that_lies_of_its_length_is_refused(tmp_path):
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)))
    with pytest.raises(IntegrityError, match="header wants"):
        unpack_tar(path, tmp_path / "out")


def test_a_packed_file_is_unpacked_for_as_long_as_it_is_needed(tmp_path):
    packed = tmp_path / "b.h5ad.gz"
    packed.write_bytes(gzip.compress(b"content"))
    with unpacked(packed) as path:
        assert path.name == "b.h5ad"
        assert path.read_bytes() == b"content"
    assert not path.exists()
    with unpacked(tmp_path / "other.h5ad") as path:
        assert path == tmp_path / "other.h5ad"
