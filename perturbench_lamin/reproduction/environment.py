"""Installed packages of a run, and how two environments differ."""

from __future__ import annotations

import re
from collections.abc import Mapping

LOCAL = "local checkout"
NAMED = re.compile(r"^#.*\((?P<name>[\w.-]+)==(?P<version>[^)]+)\)$")


def packages(requirements: str) -> dict[str, str]:
    """Name → version of a file that ``pip freeze`` wrote.

    Paths of this or that machine are not kept: a package installed from a folder is a :data:`LOCAL` one, with the
    version that pip names in the comment before it.
    """
    found: dict[str, str] = {}
    for line in (line.strip() for line in requirements.splitlines()):
        comment = NAMED.match(line)
        if comment:
            found[_name(comment["name"])] = f"{comment['version']} ({LOCAL})"
        elif "#egg=" in line:
            where, _, name = line.removeprefix("-e ").partition("#egg=")
            found[_name(name)] = where
        elif "==" in line:
            name, _, version = line.partition("==")
            found[_name(name)] = version.split(";")[0].strip()
        elif " @ " in line:
            name, _, where = line.partition(" @ ")
            found[_name(name)] = LOCAL if where.startswith("file:") else where
    return dict(sorted(found.items()))


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Package → its version then and now, where they differ; empty for one that is not installed.

    Nothing where either environment is not known.
    """
    if not then or not now:
        return {}
    names = sorted({*then, *now})
    return {name: (then.get(name, ""), now.get(name, "")) for name in names if then.get(name) != now.get(name)}


def _name(name: str) -> str:
    """The normalised name of PEP 503."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
