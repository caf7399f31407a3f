import pytest

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.ingestion.download import DownloadError, Patience, download

QUICK = Patience(attempts=3, first_wait=0.5, connect_timeout=5, read_timeout=5)


@pytest.fixture
def part(tmp_path):
    return tmp_path / ".file.part"


@pytest.fixture
def get(archive, part):
    waits = []

    def run(**options):
        download(archive.url, part, patience=QUICK, progress=False, sleep=waits.append, **options)
        return part.read_bytes()

    run.waits = waits
    return run


def test_downloads_the_bytes(archive, get):
    assert get() == archive.content
    assert archive.requests == [None]
    assert archive.encodings == {"identity"}  # compressed for the journey, it would be other bytes


def test_a_dropped_connection_is_continued_where_it_ended(archive, get):
    archive.faults.extend([("drop", 100_000), ("drop", 50_000)])
    assert get() == archive.content
    assert archive.requests == [None, "bytes=100000-", "bytes=150000-"]


def test_a_server_without_ranges_starts_over(archive, get):
    archive.ranges = False
    archive.faults.append(("drop", 100_000))
    assert get() == archive.content


def test_errors_of_the_server_are_waited_out_for_longer_and_longer(archive, get):
    archive.faults.extend([503, 500])
    assert get() == archive.content
    assert get.waits == [0.5, 1.0]


def test_progress_starts_the_count_of_failures_anew(archive, get):
    archive.faults.extend([503, 503, ("drop", 10), 503, ("drop", 10), 503])
    assert get() == archive.content


def test_gives_up_and_keeps_the_part(archive, get, part):
    archive.faults.extend([("drop", 1000), 503, 503, 503])
    with pytest.raises(DownloadError, match=r"attempts in a row failed.*503"):
        get()
    assert part.read_bytes() == archive.content[:1000]
    assert get() == archive.content
    assert archive.requests[-1] == "bytes=1000-"


def test_a_missing_file_is_not_tried_again(archive, get):
    archive.faults.append(404)
    with pytest.raises(DownloadError, match="404"):
        get()
    assert len(archive.requests) == 1


@pytest.mark.parametrize("if_range", [True, False], ids=["server heeds If-Range", "server ignores If-Range"])
def test_two_versions_are_never_joined(archive, get, if_range):
    archive.if_range = if_range
    archive.faults.extend([("drop", 100_000), 503, 503, 503])
    with pytest.raises(DownloadError):
        get()
    archive.content, archive.etag = bytes(reversed(archive.content)), '"v2"'
    assert get() == archive.content


def test_a_shorter_new_version_of_a_server_that_ignores_if_range(archive, get):
    archive.faults.extend([("drop", 100_000), 503, 503, 503])
    with pytest.raises(DownloadError):
        get()
    archive.if_range, archive.etag, archive.content = False, '"v2"', b"short"
    archive.faults.append(416)
    assert get() == b"short"


@pytest.mark.parametrize("etag", [None, 'W/"v1"'], ids=["no ETag", "weak ETag"])
def test_without_a_strong_validator_a_part_is_not_continued(archive, get, etag):
    archive.etag = etag
    archive.faults.append(("drop", 100_000))
    assert get() == archive.content
    assert archive.requests == [None, None]


def test_the_date_of_change_validates_too(archive, get):
    archive.etag, archive.last_modified = None, "Sat, 21 Nov 2020 01:00:00 GMT"
    archive.faults.append(("drop", 100_000))
    assert get() == archive.content
    assert archive.requests == [None, "bytes=100000-"]


def test_another_size_than_the_catalogs_is_refused_at_once(archive, get, part):
    with pytest.raises(IntegrityError, match=r"expected 7 bytes[\s\S]*512,000 bytes"):
        get(expected_size=7)
    assert not part.exists()


def test_a_whole_part_is_not_downloaded_again(archive, get):
    get()
    assert get() == archive.content
    assert len(archive.requests) == 1


def test_a_part_of_another_address_is_not_continued(archive, part, get):
    part.write_bytes(b"x" * 100)
    part.with_name(f"{part.name}.json").write_text('{"url": "http://elsewhere", "validator": "\\"v1\\"", "size": 5}')
    assert get() == archive.content


def test_no_server_is_an_error_with_the_address(part):
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9"):
        download("http://127.0.0.1:9/file", part, patience=QUICK, progress=False, sleep=lambda _: None)


def test_an_address_that_is_none_is_not_retried(part):
    with pytest.raises(DownloadError, match="impossible"):
        download("no address", part, patience=QUICK, progress=False, sleep=lambda _: pytest.fail("retried"))


def test_progress_goes_to_standard_error(archive, part, capsys):
    download(archive.url, part, patience=QUICK)
    out, err = capsys.readouterr()
    assert out == ""
    assert "file" in err
