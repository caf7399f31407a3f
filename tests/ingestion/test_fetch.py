import gzip
import hashlib
import json
import multiprocessing

import pytest

from perturbench_lamin.catalog.dataset import RawFile
from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.download import Patience
from perturbench_lamin.ingestion.fetch import fetch

QUICK = Patience(attempts=2, first_wait=0.01)


def raw(archive, **known):
    return RawFile("file.bin", archive.url, "norman19", **known)


def get(file, folder, **options):
    return fetch(file, folder, progress=False, patience=QUICK, **options)


def test_fetches_once_and_records_the_checksum(archive, tmp_path):
    path = get(raw(archive), tmp_path)
    assert path == tmp_path / "file.bin"
    assert path.read_bytes() == archive.content
    assert get(raw(archive), tmp_path) == path
    assert len(archive.requests) == 1
    record = json.loads((tmp_path / "checksums.json").read_text())
    assert record == {"file.bin": hashlib.sha256(archive.content).hexdigest()}


def test_nothing_else_is_left(archive, tmp_path):
    get(raw(archive), tmp_path)
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"file.bin", "checksums.json"}


def test_known_checksums_are_compared_and_not_recorded(archive, tmp_path):
    sha = hashlib.sha256(archive.content).hexdigest()
    md5 = hashlib.md5(archive.content).hexdigest()
    get(raw(archive, sha256=sha), tmp_path / "a")
    get(raw(archive, md5=md5, size=len(archive.content)), tmp_path / "b")
    assert not list(tmp_path.rglob("checksums.json"))


@pytest.mark.parametrize(("algorithm", "wrong"), [("sha256", "0" * 64), ("md5", "0" * 32)])
def test_a_swapped_file_shows_both_checksums_and_is_set_aside(archive, tmp_path, algorithm, wrong):
    found = hashlib.new(algorithm, archive.content).hexdigest()
    with pytest.raises(IntegrityError) as error:
        get(raw(archive, **{algorithm: wrong}), tmp_path)
    assert wrong in str(error.value)
    assert found in str(error.value)
    assert "to accept the new version" in str(error.value)
    assert not (tmp_path / "file.bin").exists()
    assert (tmp_path / "file.bin.rejected").read_bytes() == archive.content


def test_a_file_that_changed_since_the_first_fetch_is_refused_and_can_be_accepted(archive, tmp_path):
    path = get(raw(archive), tmp_path)
    path.unlink()
    archive.content, archive.etag = b"another version", '"v2"'
    with pytest.raises(IntegrityError, match=r"checksums\.json"):
        get(raw(archive), tmp_path)
    assert not path.exists()
    (tmp_path / "checksums.json").write_text("{}")
    assert get(raw(archive), tmp_path).read_bytes() == b"another version"


def test_a_local_file_that_changed_is_refused_without_the_network(archive, tmp_path):
    path = get(raw(archive), tmp_path)
    path.write_bytes(b"edited")
    with pytest.raises(IntegrityError, match="expected"):
        get(raw(archive), tmp_path)
    assert len(archive.requests) == 1


def test_a_record_that_is_none_is_named(archive, tmp_path):
    get(raw(archive), tmp_path)
    (tmp_path / "checksums.json").write_text("{")
    with pytest.raises(InputError, match=r"checksums\.json"):
        get(raw(archive), tmp_path)


def test_a_file_cut_short_without_a_length_is_recognised_and_not_recorded(archive, tmp_path):
    archive.content = gzip.compress(archive.content, mtime=0)
    archive.faults.append(("silent", len(archive.content) // 2))
    file = RawFile("file.rds.gz", archive.url, "mcfaline24")
    with pytest.raises(IntegrityError, match="Truncated or corrupt compressed file"):
        get(file, tmp_path)
    assert not (tmp_path / "checksums.json").exists()
    assert get(file, tmp_path).read_bytes() == archive.content


def test_an_error_page_in_place_of_an_h5ad_is_recognised(archive, tmp_path):
    archive.content = b"<html>try again later</html>"
    with pytest.raises(IntegrityError, match="Not an HDF5 file"):
        get(RawFile("file.h5ad", archive.url, "norman19"), tmp_path)


def _fetch_in_process(url, folder, start, results):
    start.wait()
    path = fetch(RawFile("file.bin", url, "norman19"), folder, progress=False, patience=QUICK)
    results.put(hashlib.sha256(path.read_bytes()).hexdigest())


def test_two_processes_download_once_and_both_get_the_file(archive, tmp_path):
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    processes = [
        context.Process(target=_fetch_in_process, args=(archive.url, tmp_path, start, results)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    start.set()
    digests = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert digests == [hashlib.sha256(archive.content).hexdigest()] * 2
    assert len(archive.requests) == 1


def test_the_mirrors_file_is_taken_as_it_is_without_the_network(archive, tmp_path):
    mirrored = tmp_path / "mirror" / "norman19" / "file.bin"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(b"a subset")
    assert get(raw(archive, sha256="0" * 64), tmp_path / "store", mirror=tmp_path / "mirror") == mirrored
    assert archive.requests == []
    assert not (tmp_path / "store").exists()


def test_a_mirror_without_the_file_says_what_is_missing_and_what_is_there(archive, tmp_path):
    (tmp_path / "norman19").mkdir()
    (tmp_path / "norman19" / "file.bim").touch()
    with pytest.raises(InputError, match=r"no file\.bin[\s\S]*file\.bim"):
        get(raw(archive), tmp_path, mirror=tmp_path)
    with pytest.raises(InputError, match="There is no file in"):
        get(raw(archive), tmp_path, mirror=tmp_path / "nowhere")
    assert archive.requests == []
