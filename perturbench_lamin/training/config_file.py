"""Training configurations in files, JSON or YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from perturbench_lamin.errors import InputError
from perturbench_lamin.training.config import TrainConfig


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, to which ``1e-8`` is a number: YAML 1.1 takes it for text, JSON and YAML 1.2 do not."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_plain(path: str | Path) -> dict[str, Any]:
    """The names and values of a configuration file, not yet checked.

    Raises:
        InputError: it is not readable, or holds something else.
    """
    try:
        plain = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # JSON is YAML
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"Not readable as JSON or YAML: {error}", where=path) from error
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
