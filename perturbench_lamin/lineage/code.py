"""The code that a run ran, as it is recorded: a commit of git, or a copy of the sources where no commit has them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lamindb as ln

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.lineage.artifacts import OF_RUNS, save_of_run
from perturbench_lamin.lineage.intact import trouble_of

SHOWN_DIGITS = 16
"""Of a module's digest, in the record."""
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class CodeRecord:
    """The code of a run.

    Attributes:
        commit: of git; empty where git does not keep the package.
        clean: whether the package's files are the commit's.
        source: uid of the artifact with a copy of the sources; empty where the commit has them all.
        digest: of the code that the step reaches.
        modules: module or data file → first digits of its digest.
        moved: whether code was written to while the run was going on: what ran may be older or newer.
    """

    commit: str = ""
    clean: bool = False
    source: str = ""
    digest: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)
    moved: bool = False

    def plain(self) -> dict[str, Any]:
        """For a run's extra data."""
        return asdict(self)


def record(root: Path, package: str, outside: Mapping[str, Path]) -> CodeRecord:
    """The state of the code now; a copy of the sources is registered where no commit has them.

    Args:
        root: the folder that the package lies in.
        package: its name.
        outside: files of other code that the step reaches, by their place in the copy.
    """
    files = {path.relative_to(root).as_posix(): path for path in package_files(root / package)}
    commit, clean = git_state(root, package, files)
    clean = clean and not outside
    return CodeRecord(commit, clean, "" if clean else _copy({**files, **outside}))


def package_files(folder: Path) -> list[Path]:
    """The files of a package, without what Python compiles."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc")


def git_state(root: Path, package: str, files: Mapping[str, Path]) -> tuple[str, bool]:
    """The commit that is checked out, and whether the package's files are that commit's, byte for byte.

    Args:
        root: the folder that the package lies in.
        package: its name.
        files: the package's files, by their path below ``root``.

    Returns:
        Nothing and False where git does not keep the package.
    """
    commit = _git(root, "rev-parse", "--verify", "HEAD").decode().strip()
    kept = dict(_blobs(_git(root, "ls-tree", "-r", "-z", "HEAD", "--", package))) if commit else {}
    if not kept:
        return "", False
    return commit, kept.keys() == files.keys() and all(_blob(files[name], kept[name]) for name in kept)


def _blobs(listed: bytes) -> Iterator[tuple[str, str]]:
    """Path → git's name of the content."""
    for line in filter(None, listed.split(b"\0")):
        about, _, name = line.partition(b"\t")
        yield name.decode("utf-8", "surrogateescape"), about.split()[2].decode()


def _blob(path: Path, name: str) -> bool:
    """Whether a file's content has that name in git."""
    content = path.read_bytes()
    algorithm = hashlib.sha1 if len(name) == 40 else hashlib.sha256
    return algorithm(b"blob %d\0" % len(content) + content).hexdigest() == name


def _git(root: Path, *arguments: str) -> bytes:
    """What git says; nothing where there is no git, or it cannot say."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(["git", *arguments], cwd=root, env=variables, capture_output=True, check=False)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""


def _copy(files: Mapping[str, Path]) -> str:
    """Register a copy of files, once however often they are the same; return the uid."""
    contents = {name: path.read_bytes() for name, path in sorted(files.items())}
    told = hashlib.sha256()
    for name, content in contents.items():
        told.update(f"{name} {len(content)}\n".encode() + content)
    description = f"Source code {told.hexdigest()}"
    kept = ln.Artifact.filter(description=description, kind=OF_RUNS)
    intact = next((one for one in kept if not trouble_of(one, download=False)), None)
    if intact is None:
        with TemporaryDirectory() as name:
            path = Path(name) / "source.zip"
            _write_zip(contents, path)
            intact = save_of_run(path, description)
    return str(intact.uid)


def _write_zip(contents: Mapping[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a copy of sources into a folder, which then holds the package.

    Raises:
        IntegrityError: it is no such copy.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise IntegrityError(f"Not a readable copy of source code: {error}", where=archive) from error
    return folder


def check_out(commit: str, package: str, root: Path, folder: Path) -> bool:
    """Lay the package of a commit out in a folder; return whether git in ``root`` has the commit."""
    content = _git(root, "archive", "--format=zip", commit, "--", package)
    if content:
        with TemporaryDirectory() as name:
            archive = Path(name) / "commit.zip"
            archive.write_bytes(content)
            unpack(archive, folder)
    return bool(content)
