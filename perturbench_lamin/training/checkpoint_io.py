"""How checkpoints reach the disk and come back: whole or not at all, and as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from perturbench_lamin.files import atomic_path


class PlainCheckpointIO(CheckpointIO):
    """Atomic writes beside the final name, loads without unpickling code.

    Lightning's own writer goes through a temporary folder that may be on another file system; its move is then
    a copy, and a kill meanwhile leaves half a checkpoint under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; the same content gives the same bytes.

        Raises:
            OSError: the disk is full, or fails.
        """
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            try:
                torch.save(checkpoint, stream)
            except RuntimeError as error:  # torch speaks of its archive's positions
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; ``weights_only`` is always meant."""
        loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint if it is there."""
        Path(path).unlink(missing_ok=True)
