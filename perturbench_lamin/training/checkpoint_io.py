"""How checkpoints reach the disk and come back: whole or not at all, as plain values, and the same ones."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.files import atomic_path
from perturbench_lamin.models.base import CHECKPOINT_KEY

SHA256 = "sha256"
"""Where the model's block in a checkpoint keeps the checksum of itself and of the weights."""

AGAIN = "Take a copy of it, or train again."
NOT_READ = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, MemoryError)


class PlainCheckpointIO(CheckpointIO):
    """Atomic writes beside the final name, loads without unpickling code, checksums of both.

    Lightning's own writer goes through a temporary folder that may be on another file system; its move is then
    a copy, and a kill meanwhile leaves half a checkpoint under the final name. torch compares no checksum as it
    loads: a flipped bit in a weight is another weight.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; the model's block gets the SHA-256 of itself and of the weights.

        Raises:
            OSError: the disk is full, or fails.
        """
        if CHECKPOINT_KEY in checkpoint:
            block = {**checkpoint[CHECKPOINT_KEY], SHA256: digest(checkpoint)}
            checkpoint = {**checkpoint, CHECKPOINT_KEY: block}
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            try:
                torch.save(checkpoint, stream)
            except RuntimeError as error:  # torch speaks of its archive's positions
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; ``weights_only`` is always meant.

        A checkpoint of an earlier version has no SHA-256; the CRC-32 of each part of the archive, which torch has
        always written, is compared in any case.

        Raises:
            UnpicklingError: it holds objects whose loading would run code, or is no archive of torch's.
            IntegrityError: it is truncated or damaged, or its weights are not those that were saved.
        """
        path = Path(path)
        _require_whole(path)
        try:
            loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise
        except NOT_READ as error:
            raise IntegrityError("Not a checkpoint, or a damaged one", where=path, fix=f"{_line(error)} {AGAIN}") from (
                error
            )
        _require_same(loaded, path)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint if it is there."""
        Path(path).unlink(missing_ok=True)


def digest(checkpoint: Mapping[str, Any]) -> str:
    """The SHA-256 of what a checkpoint's model is: its block (but for the checksum in it) and its weights."""
    block = {key: value for key, value in checkpoint[CHECKPOINT_KEY].items() if key != SHA256}
    found = hashlib.sha256()
    _feed(found, {CHECKPOINT_KEY: block, "state_dict": checkpoint.get("state_dict")})
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        found.update(f"tensor {value.dtype} {list(value.shape)};".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        found.update(f"mapping {len(value)};".encode())
        for key in sorted(value, key=str):
            _feed(found, key)
            _feed(found, value[key])
    elif isinstance(value, list | tuple):
        found.update(f"list {len(value)};".encode())
        for item in value:
            _feed(found, item)
    else:
        found.update(f"{json.dumps(value, default=repr)};".encode())


def _require_whole(path: Path) -> None:
    """Compare the CRC-32 of each part, and refuse parts that unpack to more than the file."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begins = file.read(4)
        if begins == b"PK\x03\x04":
            raise IntegrityError("The checkpoint is truncated", where=path, fix=AGAIN)
        raise pickle.UnpicklingError("no archive of torch's")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise zipfile.BadZipFile("its parts are compressed, which torch never does")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, *NOT_READ) as error:
        raise IntegrityError("Not a checkpoint, or a damaged one", where=path, fix=f"{_line(error)} {AGAIN}") from error
    if damaged:
        raise IntegrityError(f"The checkpoint is damaged: {damaged} has another checksum", where=path, fix=AGAIN)


def _require_same(loaded: Any, path: Path) -> None:
    block = loaded.get(CHECKPOINT_KEY) if isinstance(loaded, dict) else None
    said = block.get(SHA256) if isinstance(block, dict) else None
    if said is not None and said != digest(loaded):
        raise IntegrityError("The weights, or what is said of them, were altered", where=path, fix=AGAIN)


def _line(error: BaseException) -> str:
    return f"Reading gave: {next(iter(str(error).splitlines()), type(error).__name__)}."
