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


def test_a_packed_file_is_unpacked_for_as_long_as_it_is_needed(tmp_path):
    packed = tmp_path / "b.h5ad.gz"
    packed.write_bytes(gzip.compress(b"content"))
    with unpacked(packed) as path:
        assert path.name == "b.h5ad"
        assert path.read_bytes() == b"content"
    assert not path.exists()
    with unpacked(tmp_path / "other.h5ad") as path:
        assert path == tmp_path / "other.h5ad"
