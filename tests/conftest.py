"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(relative: str) -> Path:
    """A file of the shared reference data, or skip: the tests pass without it."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"needs the shared reference data: {relative}")
    return path


@pytest.fixture(scope="session")
def shared_file():
    return shared
