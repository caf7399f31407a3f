"""The project and the labels that LaminHub's pages group records by, and names in plain words."""

from __future__ import annotations

from importlib.resources import files

import lamindb as ln
from lamindb.models import Block, ProjectBlock

from perturbench_lamin.lineage.graph import step_name

PROJECT = "perturbench-lamin"
ABOUT = "Lineage-tracked curation and benchmarking of single-cell perturbation-response prediction"
DATASET_TYPE = "Dataset"


def save_project() -> ln.Project:
    """The project, made with its README if the instance has none; a README that somebody edited stays."""
    found = ln.Project.filter(name=PROJECT).one_or_none()
    project = found or ln.Project(name=PROJECT, description=ABOUT).save()
    readme = files("perturbench_lamin.lineage").joinpath("readme.md").read_text(encoding="utf-8")
    if not project.ablocks.filter(kind="readme").exists():
        ProjectBlock(project=project, kind="readme", content=readme).save()
    if not Block.filter(key="README.md").exists():
        Block(key="README.md", kind="readme", content=readme).save()
    return project


def label(artifact: ln.Artifact, dataset: str | None = None) -> None:
    """Put an artifact, the current run and its notebook into the project, and name the run in plain words.

    Args:
        artifact: a saved artifact.
        dataset: its dataset; becomes a label.
    """
    project = save_project()
    artifact.projects.add(project)
    if dataset:
        artifact.ulabels.add(_dataset_label(dataset))
    run = ln.context.run
    if run is None:
        return
    run.projects.add(project)
    run.transform.projects.add(project)
    if not run.name:
        run.name = step_name(run.transform.key, run.params or {}).replace("_", " ")
        run.save()


def _dataset_label(dataset: str) -> ln.ULabel:
    kind = ln.ULabel.filter(name=DATASET_TYPE, is_type=True).one_or_none()
    kind = kind or ln.ULabel(name=DATASET_TYPE, is_type=True, description="Datasets of the catalog").save()
    found = ln.ULabel.filter(name=dataset, type=kind).one_or_none()
    return found or ln.ULabel(name=dataset, type=kind, description=_about(dataset)).save()


def _about(dataset: str) -> str:
    from perturbench_lamin.catalog.datasets import find_dataset

    known = find_dataset(dataset)
    return f"{known.citation}: {known.title}" if known else f"Dataset {dataset}"
