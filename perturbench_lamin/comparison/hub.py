"""Fetch files of the published deposit from Hugging Face."""

from __future__ import annotations

import json
import os
from pathlib import Path

from perturbench_lamin.files import write_text
from perturbench_lamin.ingestion.download import DownloadError
from perturbench_lamin.locks import locked

REPOSITORY = "altoslabs/perturbench"
BRANCH = "main"
"""Where the first fetch begins. The deposit's commits were not known when this was written, so no commit stands here:
the first fetch into a folder records the commit that it got, and later ones ask for that commit."""

RECORD_NAME = "revision.json"


def url(name: str, revision: str = BRANCH) -> str:
    """The public address of a file of the deposit."""
    return f"https://huggingface.co/datasets/{REPOSITORY}/resolve/{revision}/{name}"


def fetch(name: str, folder: Path, revision: str | None = None) -> tuple[Path, str]:
    """Fetch a file of the deposit, once.

    Args:
        name: the file's name.
        folder: where files and the record of the revision are kept.
        revision: a commit, tag or branch; by default the commit that the folder's record names, and where it has none
            the newest one, which is then recorded.

    Returns:
        The file, and the commit it is of.

    Raises:
        DownloadError: the hub refuses or cannot be reached, or has no such file or revision.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{RECORD_NAME}.lock"):
        asked = revision or _recorded(folder) or BRANCH
        try:
            path = Path(
                hf_hub_download(
                    REPOSITORY,
                    name,
                    repo_type="dataset",
                    revision=asked,
                    cache_dir=folder,
                    token=False,
                    endpoint=os.environ.get("HF_ENDPOINT"),
                )
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DownloadError(
                f"Cannot fetch {name}: {reason}",
                where=f"{REPOSITORY} at {asked}",
                fix="Look at the revision and the connection, or give a folder with the file: --deposited FOLDER.",
            ) from error
        commit = path.parent.name  # <folder>/datasets--…/snapshots/<commit>/<name>
        if revision is None and _recorded(folder) is None:
            write_text(folder / RECORD_NAME, json.dumps({"repository": REPOSITORY, "revision": commit}) + "\n")
    return path, commit


def _recorded(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))["revision"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
