"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import warnings
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


@pytest.fixture(scope="session", autouse=True)
def _own_memory(tmp_path_factory):
    """What is remembered of files is kept apart from what the user's own commands remember."""
    os.environ["PERTURBENCH_LAMIN_CACHE"] = str(tmp_path_factory.mktemp("remembered"))


@pytest.fixture(scope="session")
def lamin(tmp_path_factory):
    """The module :mod:`lamindb`, connected to a new local instance: a process has one.

    No test module imports lamindb, or what imports it, at its top: the first import connects.
    """
    from perturbench_lamin.lineage.instance import local_instance

    folder = tmp_path_factory.mktemp("instance")
    os.environ["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    os.environ["LAMIN_CACHE_DIR"] = str(folder / "cache")
    (folder / "cache").mkdir()
    instance = local_instance(folder / "work")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of third parties, at import
        instance.connect()
        import lamindb

        from perturbench_lamin.lineage.features import save_features

        lamindb.settings.verbosity = "error"
        save_features()
    return lamindb


@pytest.fixture
def run(lamin):
    """A run of a pipeline, made the current one."""
    transform = lamin.Transform(key="test-pipeline", kind="pipeline").save()
    current = lamin.Run(transform, status="started").save()
    lamin.context._run = current
    yield current
    lamin.context._run = None
