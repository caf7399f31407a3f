from __future__ import annotations

import pytest


@pytest.fixture
def completeness(lamin):
    from perturbench_lamin.lineage import completeness

    return completeness


def gaps(found):
    return {(one.registry, one.what) for one in found}


def saved(tmp_path, key, **features):
    from perturbench_lamin.lineage import artifacts

    path = tmp_path / "file.csv"
    path.write_text(key)
    return artifacts.save(path, key, "A file", features=features)


def test_what_the_helpers_save_is_complete(completeness, lamin, run, tmp_path):
    from perturbench_lamin.lineage import runs

    run.transform.description = "A pipeline of the tests"
    run.transform.save()
    made = saved(tmp_path, "complete/file.csv", dataset="norman19", n_cells=3)
    runs.close(lamin.context.run, runs.Status.COMPLETED)
    assert completeness.missing([lamin.Artifact.get(made.uid)]) == []
    assert made.ulabels.get().description.startswith("Norman et al., Science, 2019")
    assert run.name == "test-pipeline"
    assert "perturbench-lamin reproduce" in made.projects.get().ablocks.get(kind="readme", is_latest=True).content


def test_every_gap_is_named(completeness, lamin, tmp_path):
    transform = lamin.Transform(key="gaps.ipynb", kind="notebook").save()
    run = lamin.Run(transform, status="started").save()
    path = tmp_path / "gaps.h5ad"
    path.write_text("gaps")
    bare = lamin.Artifact(path, key="curated/gaps.h5ad", run=run, skip_hash_lookup=True).save()
    feature = lamin.Feature(name="without_a_description", dtype=int).save()
    assert gaps(completeness.missing([bare])) >= {
        *(("Artifact", what) for what in completeness.CHECKS["Artifact"] if what not in ("run", "kind")),
        *(("Run", what) for what in completeness.CHECKS["Run"]),
        *(("Transform", what) for what in completeness.CHECKS["Transform"]),
    }
    bare.features.add_values({feature: 1})
    assert ("Feature", "description") in gaps(completeness.missing([bare]))


def test_a_readme_that_was_edited_stays(completeness, lamin):
    from lamindb.models import ProjectBlock

    from perturbench_lamin.lineage.project import save_project

    project = save_project()
    before = project.ablocks.get(kind="readme", is_latest=True).content
    ProjectBlock(project=project, kind="readme", content="perturbench-lamin reproduce, edited").save()
    save_project()
    assert project.ablocks.get(kind="readme", is_latest=True).content == "perturbench-lamin reproduce, edited"
    ProjectBlock(project=project, kind="readme", content=before).save()
