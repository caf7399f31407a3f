"""Options that several verbs have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.command import bundle, under
from perturbench_lamin.errors import ChainError, InputError

if TYPE_CHECKING:
    from perturbench_lamin.conditions import ObsKeys

INSTANCE: dict[str, Any] = {
    "metavar": "FOLDER|OWNER/NAME",
    "help": "A folder (a new one as ./a/b), or a connected instance.  "
    "[default: LAMIN_CURRENT_INSTANCE, or this checkout's]",
}
instance_option = click.option("--instance", **INSTANCE)

_cells = under("Cells")


def obs_keys(perturbation_key: str, covariate_keys: tuple[str, ...], control: str, delimiter: str) -> ObsKeys:
    """The options as the package's own type."""
    from perturbench_lamin.conditions import ObsKeys

    return ObsKeys(perturbation_key, covariate_keys, control, delimiter or None)


keys_options = bundle(
    "keys",
    obs_keys,
    {
        "perturbation_key": _cells(
            "--perturbation-key",
            metavar="COLUMN",
            default="condition",
            show_default=True,
            help="obs column of conditions.",
        ),
        "covariate_keys": _cells(
            "--covariate-key",
            "covariate_keys",
            metavar="COLUMN",
            multiple=True,
            help="obs column of a covariate, such as cell_type; may be given several times.",
        ),
        "control": _cells(
            "--control", metavar="VALUE", default="control", show_default=True, help="The condition of control cells."
        ),
        "delimiter": _cells(
            "--delimiter",
            metavar="TEXT",
            default="+",
            show_default=True,
            help="Joins a combination's parts; '' for none.",
        ),
    },
)
"""Which obs columns hold conditions and covariates; the verb takes ``keys``."""


def project_folder() -> Path:
    """The folder with the notebooks: the working directory, or the checkout that this package runs from.

    Raises:
        ChainError: neither has them.
    """
    import perturbench_lamin

    for folder in (Path.cwd(), Path(perturbench_lamin.__file__).parents[1]):
        if (folder / "ingestion").is_dir() and (folder / "training" / "train.ipynb").is_file():
            return folder
    raise ChainError("The notebooks are not here", where=Path.cwd(), fix="Run in a checkout, or give --notebooks.")


def connect(instance: str | None) -> None:
    """Connect to an instance to read it; none is made.

    Raises:
        ChainError: there is none.
    """
    from perturbench_lamin.lineage.instance import INSTANCE_VARIABLE, open_existing

    named = instance or INSTANCE_VARIABLE in os.environ
    open_existing(instance, Path.cwd() if named else project_folder()).connect()


def assignments(given: Iterable[str], option: str) -> dict[str, object]:
    """Names and values; a value is read as JSON where it is JSON, else as text.

    Args:
        given: words such as ``degs=50``.
        option: the option they were given to, for the error message.

    Raises:
        InputError: a word has no ``=``.
    """
    values: dict[str, object] = {}
    for assignment in given:
        name, found, text = assignment.partition("=")
        if not found:
            raise InputError(f"Not NAME=VALUE: {assignment!r}", where=option, fix=f"For example {option} degs=50.")
        values[name] = _parsed(text)
    return values


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
