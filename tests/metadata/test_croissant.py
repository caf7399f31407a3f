from __future__ import annotations

import json
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError
from perturbench_lamin.metadata.croissant import DatasetFile, count_conditions, obs_types, write_croissant

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # of its checker


@pytest.fixture(scope="module")
def mlc():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, at import
        import mlcroissant
    return mlcroissant


@pytest.fixture
def curated(tmp_path):
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(["a+b", "control", "control"]),
            "dose": [1.5, 2.0, 0.0],
            "ngenes": [3, 4, 5],
            "treated": [True, False, False],
            "batch": ["x", "y", "z"],
        },
        index=["c1", "c2", "c3"],
    )
    path = tmp_path / "tiny.h5ad"
    ad.AnnData(np.ones((3, 2), np.float32), obs=obs).write_h5ad(path)
    return path


def described(path, **changes):
    told = {
        "name": "tiny",
        "description": "Three cells",
        "path": path,
        "url": path.name,
        "version": "1.0.0",
        "published": "2026-01-02",
        "citation": "Somebody et al., 2026",
        "origin": ("https://example.org/raw.h5ad",),
        "licence": "CC-BY-4.0",
        "keywords": ("single-cell",),
        "obs": obs_types(path),
        "conditions": count_conditions(path),
    }
    return DatasetFile(**{**told, **changes})


def test_the_columns_have_their_types(curated):
    expected = {"condition": "TEXT", "dose": "FLOAT", "ngenes": "INTEGER", "treated": "BOOL", "batch": "TEXT"}
    assert obs_types(curated) == expected


@pytest.mark.parametrize("changes", [{}, {"licence": None, "origin": ()}])
def test_its_own_checker_finds_it_valid_and_reads_the_conditions(mlc, curated, tmp_path, changes):
    out = write_croissant(described(curated, **changes), tmp_path / "croissant.json")
    dataset = mlc.Dataset(out)
    assert not dataset.metadata.ctx.issues.errors
    rows = [{key.split("/")[-1]: value for key, value in row.items()} for row in dataset.records("conditions")]
    assert rows == [{"condition": "a+b", "n_cells": 1}, {"condition": "control", "n_cells": 2}]
    plain = json.loads(out.read_text())
    assert plain["@type"] == "sc:Dataset"
    assert plain["distribution"][0]["contentSize"] == f"{curated.stat().st_size} B"
    assert [field["name"] for field in plain["recordSet"][0]["field"]] == list(obs_types(curated))


def test_its_checker_would_say_so(mlc, curated, tmp_path):
    out = write_croissant(described(curated), tmp_path / "croissant.json")
    plain = json.loads(out.read_text())
    plain["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] = "another"
    out.write_text(json.dumps(plain))
    with pytest.raises(mlc.ValidationError):
        mlc.Dataset(out)


def test_only_curated_files_are_described(lamin, run, tmp_path):
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.metadata.croissant import describe

    path = tmp_path / "table.csv"
    path.write_text("a")
    with pytest.raises(InputError, match="Not a curated dataset"):
        describe(artifacts.save(path, "croissant/table.csv", "A table"))


def test_an_instance_knows_what_is_asked(lamin, run, curated, tmp_path):
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.metadata.croissant import describe

    raw = tmp_path / "raw.csv"
    raw.write_text("croissant raw")
    told = {"origin_url": "https://example.org/raw", "licence": "MIT", "citation": "Them, 2026", "simulated": False}
    artifacts.save(raw, "raw/croissant/raw.csv", "Raw", features={"dataset": "croissant", **told})
    later = lamin.Run(run.transform, status="started").save()
    lamin.context._run = later
    artifacts.load("raw/croissant/raw.csv")
    file = describe(artifacts.save(curated, "curated/croissant.h5ad", "Curated", features={"dataset": "croissant"}))
    assert (file.name, file.version, file.licence) == ("croissant", "1.0.0", "MIT")
    assert (file.origin, file.citation) == (("https://example.org/raw",), "Them, 2026")
    assert file.conditions == {"a+b": 1, "control": 2}


def test_cells_without_a_condition_are_counted_and_conditions_without_cells_are_not(tmp_path):
    obs = pd.DataFrame({"condition": pd.Categorical(["nan", None, "A"], ["nan", "A", "unused"])}, index=list("abc"))
    ad.AnnData(np.ones((3, 1), dtype=np.float32), obs=obs).write_h5ad(tmp_path / "cells.h5ad")
    assert count_conditions(tmp_path / "cells.h5ad") == {"": 1, "A": 1, "nan": 1}
