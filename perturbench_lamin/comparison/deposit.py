"""A dataset's deposited file of cells with its splits: found, checked and unpacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perturbench_lamin.catalog.dataset import RawFile
from perturbench_lamin.comparison import hub
from perturbench_lamin.comparison.published import PublishedFile, published_file, published_splits
from perturbench_lamin.comparison.unpack import unpack_gzip, unpack_tar
from perturbench_lamin.errors import InputError, IntegrityError, nearest
from perturbench_lamin.files import sha256
from perturbench_lamin.ingestion.checksums import verify


@dataclass(frozen=True)
class FoundFile:
    """Deposited bytes on this machine.

    Attributes:
        path: where they lie.
        published: what they are.
        sha256: of the bytes.
        origin: where they came from.
        checked: what the checksum agrees with: ``published``, ``accepted``, or ``nothing`` (an unpacked file).
    """

    path: Path
    published: PublishedFile
    sha256: str
    origin: str
    checked: str

    @property
    def url(self) -> str:
        """Where it is published: the commit it was fetched from, or, for a file from a folder, the newest one."""
        return self.origin if self.origin.startswith("https://") else hub.url(self.published.name)


@dataclass(frozen=True)
class Deposit:
    """A deposited file of cells, ready to be compared.

    Attributes:
        file: the deposited bytes.
        cells: the h5ad file, unpacked.
        splits: split files, unpacked.
    """

    file: FoundFile
    cells: Path
    splits: tuple[Path, ...] = ()

    def told(self) -> str:
        """Where it came from, in a line."""
        file = self.file
        return f"Deposited file {file.path.name} from {file.origin}; sha256 {file.sha256}, agrees with {file.checked}"


def get_deposit(
    dataset: str,
    work: str | Path,
    *,
    folder: str | Path | None = None,
    revision: str | None = None,
    file_name: str | None = None,
    accepted: Mapping[str, str] | None = None,
) -> Deposit:
    """Find a dataset's deposited file and its splits, check their bytes, and unpack them.

    Args:
        dataset: its name or an alias.
        work: where downloads and unpacked files are kept.
        folder: a folder that has the files; without one they are fetched from Hugging Face.
        revision: of the deposit, see :func:`perturbench_lamin.comparison.hub.fetch`.
        file_name: which file of cells, where there are several.
        accepted: file name → SHA-256 to accept in place of the published one.

    Raises:
        InputError: no such dataset or file; the folder lacks it.
        DownloadError: it could not be fetched.
        IntegrityError: the bytes are not the published ones (both checksums are shown), or cannot be unpacked.
    """
    work, published = Path(work), published_file(dataset, file_name)
    found = find_file(published, work, folder=folder, revision=revision, accepted=accepted)
    splits: list[Path] = []
    for file in published_splits(published):
        if folder is None or _in_folder(file, Path(folder)) is not None:
            splits += _tables(find_file(file, work, folder=folder, revision=revision, accepted=accepted), work)
    return Deposit(found, _unpack_cells(found.path, work, found.sha256), tuple(splits))


def find_file(
    published: PublishedFile,
    work: Path,
    *,
    folder: str | Path | None = None,
    revision: str | None = None,
    accepted: Mapping[str, str] | None = None,
) -> FoundFile:
    """One deposited file, checked; the arguments are those of :func:`get_deposit`."""
    if folder is None:
        path, commit = hub.fetch(published.name, work / "hub", revision)
        origin = hub.url(published.name, commit)
    else:
        path = _require_in_folder(published, Path(folder))
        origin = str(path)
    digest = sha256(path)
    return FoundFile(path, published, digest, origin, _check(path, published, accepted or {}, digest))


def _unpack_cells(path: Path, work: Path, digest: str) -> Path:
    """The h5ad file of a deposited file: itself, or decompressed under ``work``."""
    if path.suffix != ".gz":
        return path
    return unpack_gzip(path, work / "unpacked" / digest[:16] / path.name.removesuffix(".gz"))


def _tables(found: FoundFile, work: Path) -> list[Path]:
    if not found.path.name.endswith((".tar.gz", ".tar")):
        return [found.path]
    paths = unpack_tar(found.path, work / "unpacked" / found.sha256[:16] / "splits")
    return [path for path in paths if path.name.endswith((".csv", ".csv.gz")) and not path.name.startswith(".")]


def _names(published: PublishedFile) -> list[str]:
    """The deposited name, and the name without compression."""
    return list(dict.fromkeys([published.name, published.name.removesuffix(".gz")]))


def _in_folder(published: PublishedFile, folder: Path) -> Path | None:
    places = [folder / name for name in _names(published)] + [folder / published.dataset / n for n in _names(published)]
    return next((path for path in places if path.is_file()), None)


def _require_in_folder(published: PublishedFile, folder: Path) -> Path:
    found = _in_folder(published, folder)
    if found is not None:
        return found
    present = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise InputError(
        f"The folder has no {' or '.join(_names(published))}",
        where=folder,
        fix=f"{nearest(published.name, present) if present else 'It is empty or missing.'} Put the file there.",
    )


def _check(path: Path, published: PublishedFile, accepted: Mapping[str, str], digest: str) -> str:
    """Which checksum the bytes agree with.

    Raises:
        IntegrityError: none.
    """
    if path.name != published.name and digest != published.sha256 and path.name not in accepted:
        return "nothing: it is unpacked, and the published checksum is of the packed file"
    chosen = accepted.get(path.name)
    expected = RawFile(path.name, path.as_posix(), published.dataset, sha256=chosen or published.sha256)
    try:
        verify(path, expected, path.parent)
    except IntegrityError as error:
        raise IntegrityError(
            error.what.replace("(catalog)", "(accepted)" if chosen else "(published in September 2025)"),
            where=path,
            fix=f"It was damaged, or the deposit was changed. To accept it: --accept {path.name}={digest}",
        ) from error
    return "the accepted one" if chosen else "the published one"
