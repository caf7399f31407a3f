"""Training configurations in files, JSON or YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.plain_file import read_yaml
from perturbench_lamin.training.config import TrainConfig


def read_plain(path: str | Path) -> dict[str, Any]:
    """The names and values of a configuration file, not yet checked.

    Raises:
        InputError: it is not readable, or holds something else.
    """
    plain = read_yaml(path)
    if not isinstance(plain, dict) or not isinstance(plain.get("hyperparameters", {}), dict):
        raise InputError("Not a configuration", where=path, fix="Give names and values, such as `model: linear`.")
    return plain


def read_config(path: str | Path, **changes: Any) -> TrainConfig:
    """A configuration from a file, such as the ``best.json`` of a study.

    Args:
        path: the file.
        **changes: fields to set otherwise; None leaves the file's.

    Raises:
        InputError: as :func:`read_plain`, or an entry is unknown or wrong.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    return TrainConfig.from_dict({**read_plain(path), **given})
