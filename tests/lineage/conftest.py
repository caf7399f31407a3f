"""A real LaminDB instance in a temporary folder, one a test process."""

from __future__ import annotations

import os
import warnings

import pytest


@pytest.fixture(scope="session")
def lamin(tmp_path_factory):
    """The module :mod:`lamindb`, connected to a new local instance."""
    from perturbench_lamin.lineage.instance import local_instance

    folder = tmp_path_factory.mktemp("instance")
    os.environ["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    os.environ["LAMIN_CACHE_DIR"] = str(folder / "cache")
    (folder / "cache").mkdir()
    instance = local_instance(folder / "work")
    instance.connect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of third parties, at import
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
