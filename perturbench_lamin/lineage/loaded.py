"""A kernel says which of this package's code it loaded, and from where, to the process that started it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perturbench_lamin.files import write_text

VARIABLE = "PERTURBENCH_LAMIN_LOADED"
"""Names the file that a kernel writes it to, after each cell."""
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Loaded:
    """What a kernel loaded.

    Attributes:
        root: the folder that it imports the package from.
        modules: of the package, as far as they have files.
    """

    root: str
    modules: frozenset[str] = field(default_factory=frozenset)


def tell() -> None:
    """In a kernel that was asked for it: note after each cell what is loaded by then."""
    if VARIABLE not in os.environ or "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and _note not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _note)


def told(path: Path) -> Loaded | None:
    """What a kernel noted; None where it noted nothing."""
    try:
        plain: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Loaded(plain["root"], frozenset(plain["modules"]))


def _note(*_: object) -> None:
    modules = sorted(
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == PACKAGE and getattr(module, "__file__", None)
    )
    root = Path(str(sys.modules[PACKAGE].__file__)).resolve().parents[1]
    write_text(os.environ[VARIABLE], json.dumps({"root": str(root), "modules": modules}))
