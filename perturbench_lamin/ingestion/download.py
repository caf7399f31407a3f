"""Download a file in as many connections as it takes, without ever joining two versions of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from perturbench_lamin.errors import IntegrityError, PerturbenchError
from perturbench_lamin.files import write_text

CHUNK_BYTES = 1 << 20
RETRIED_STATUS = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
DROPPED = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


class DownloadError(PerturbenchError):
    """A file could not be downloaded."""


class _InterruptedError(Exception):
    """The connection ended before the file did, or the server asked to come back later."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How long to keep trying.

    Attributes:
        attempts: failures in a row, without a byte gained, after which to give up.
        first_wait: seconds before the second attempt; doubled after each failure.
        longest_wait: seconds, also the most that a server's ``Retry-After`` is followed.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for the next bytes.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0


@dataclass(frozen=True)
class Version:
    """Which version of a file a part belongs to.

    Attributes:
        url: where it came from.
        validator: the server's ETag or date of change; empty where it gives neither: such a part is not continued.
        size: bytes of the whole file; None where the server does not say.
    """

    url: str
    validator: str = ""
    size: int | None = None


def download(
    url: str,
    part: Path,
    *,
    patience: Patience | None = None,
    expected_size: int | None = None,
    progress: bool = True,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Download ``url`` into ``part``, continuing a part that an earlier call left.

    A part is continued only if the server confirms (``If-Range``) that the file is the one it began with.

    Args:
        url: the file.
        part: where to write; ``<part>.json`` beside it says which version it is of.
        patience: when to give up.
        expected_size: bytes that the file must have; None where not known.
        progress: show a progress bar on standard error.
        sleep: waits between attempts.

    Raises:
        DownloadError: the server refuses, or the connection fails too often. The part is kept for the next call.
        IntegrityError: the server's file has another size than expected.
    """
    patience = patience or Patience()
    failures, before = 0, -1
    while True:
        try:
            _attempt(url, part, patience, expected_size, progress)
            return
        except (*DROPPED, _InterruptedError) as error:
            size = _size(part)
            failures = 1 if size > before >= 0 else failures + 1
            before = size
            if failures >= patience.attempts:
                raise _given_up(url, part, failures, error) from error
            wait = max(patience.first_wait * 2 ** (failures - 1), getattr(error, "wait", 0.0))
            sleep(min(wait, patience.longest_wait))
        except requests.RequestException as error:
            raise DownloadError(
                f"The download is impossible: {error}", where=url, fix="Look at the address."
            ) from error


def forget(part: Path) -> None:
    """Remove a part and what is known of it."""
    part.unlink(missing_ok=True)
    _sidecar(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, patience: Patience, expected_size: int | None, progress: bool) -> None:
    known = _read_version(part)
    have = _size(part)
    if not known.validator or known.url != url:
        have = 0
    elif known.size == have:
        return
    headers = {"Accept-Encoding": "identity"}  # the bytes as deposited, not compressed for the journey
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known.validator}
    timeout = (patience.connect_timeout, patience.read_timeout)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        have = _accepted_offset(response, have, known, part)
        version = Version(url, known.validator if have else _validator(response), _total(response, have))
        _require_size(version, expected_size)
        if not have:
            part.write_bytes(b"")
        write_text(_sidecar(part), json.dumps(asdict(version)))
        _receive(response, part, have, version, progress)


def _accepted_offset(response: requests.Response, have: int, known: Version, part: Path) -> int:
    """From which byte the server's answer goes on: where the part ends, or the beginning."""
    status = response.status_code
    if status in RETRIED_STATUS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _InterruptedError(f"the server answers {status} {response.reason}", _retry_after(response))
    if status == HTTPStatus.OK:
        return 0
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    if status == HTTPStatus.PARTIAL_CONTENT and begins and _validator(response) in ("", known.validator):
        return have
    if have and status in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        forget(part)  # another version, whatever the server made of If-Range
        raise _InterruptedError("the file changed on the server")
    raise DownloadError(
        f"The server answers {status} {response.reason}",
        where=response.url,
        fix="Look whether the address still holds, or put the file into a mirror folder.",
    )


def _receive(response: requests.Response, part: Path, have: int, version: Version, progress: bool) -> None:
    label = part.name.strip(".").removesuffix(".part")
    bar = tqdm(
        total=version.size, initial=have, desc=label, unit="B", unit_scale=True, unit_divisor=1024, disable=not progress
    )
    with bar, part.open("ab") as stream:
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            stream.write(chunk)
            bar.update(len(chunk))
    if version.size is not None and _size(part) < version.size:
        raise _InterruptedError(f"{_size(part):,} of {version.size:,} bytes arrived")
    if version.size is not None and _size(part) > version.size:
        forget(part)
        raise _InterruptedError("more bytes arrived than the file has")


def _require_size(version: Version, expected: int | None) -> None:
    if expected is not None and version.size is not None and version.size != expected:
        raise IntegrityError(
            f"Not the file that is expected\n  expected {expected:,} bytes (catalog)\n"
            f"  found    {version.size:,} bytes (server)",
            where=version.url,
            fix="It was replaced by another version; to accept it, change the catalog's entry.",
        )


def _validator(response: requests.Response) -> str:
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):  # a weak one does not promise equal bytes
        return etag
    return response.headers.get("Last-Modified", "")


def _total(response: requests.Response, have: int) -> int | None:
    length = response.headers.get("Content-Length")
    return have + int(length) if length is not None and length.isdigit() else None


def _retry_after(response: requests.Response) -> float:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdigit() else 0.0


def _given_up(url: str, part: Path, failures: int, error: Exception) -> DownloadError:
    return DownloadError(
        f"{failures} attempts in a row failed: {error}",
        where=url,
        fix=f"The {_size(part):,} bytes that arrived are kept: run again to go on from there.",
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _sidecar(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_version(part: Path) -> Version:
    try:
        return Version(**json.loads(_sidecar(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Version("")
