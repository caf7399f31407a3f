"""The schema of a curated file in LaminDB, and its AnnData curator's check of a file's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anndata as ad
import bionty as bt
import lamindb as ln
import pandas as pd
import pertdb as pt
from bionty import _organism
from lamindb.errors import ValidationError

from perturbench_lamin.errors import InputError
from perturbench_lamin.metadata.check import CheckedFile
from perturbench_lamin.metadata.records import Records
from perturbench_lamin.metadata.sources import human

LABELS: Mapping[str, tuple[Any, str]] = {
    "cell_line": (bt.CellLine, "Cell lines, by Cellosaurus"),
    "cell_type": (bt.CellType, "Cell types, by the Cell Ontology"),
    "compound": (pt.Compound, "Compounds that cells were given, by ChEBI where it has them"),
    "biologic": (pt.Biologic, "Cytokines, hormones and other cells that cells were given"),
    "genetic_perturbation": (pt.GeneticPerturbation, "Genes perturbed, alone or in a combination"),
    "compound_perturbation": (pt.CompoundPerturbation, "Compounds with their dose"),
    "combination_perturbation": (pt.CombinationPerturbation, "Perturbations of several parts"),
}
"""The features that annotate a curated file with records."""
VALUES: Mapping[str, str] = {
    "perturbed_in": "The genes perturbed and the compounds or other treatments given in each cell line or type",
    "metadata_notes": "What of the metadata was not checked, or accepted though no ontology has it",
}
FEATURE_TYPE = "perturbench"
NAME = "perturbench curated AnnData"
DESCRIPTION = "A curated file: cells, perturbations and measured genes, by the names of their ontologies"
OBS_DESCRIPTION = "What cells are and what was done to them, by the names of ontologies"


def label_features() -> dict[str, ln.Feature]:
    """The features of :data:`LABELS`, saved."""
    return {name: _feature(name, model, about) for name, (model, about) in LABELS.items()}


def value_features() -> dict[str, ln.Feature]:
    """The features of :data:`VALUES`, saved."""
    return {name: _feature(name, dict, about) for name, about in VALUES.items()}


def curated_schema(*, genes: bool) -> ln.Schema:
    """The schema of curated files, saved: labels in ``obs``, and measured genes by Ensembl id in ``var``.

    Args:
        genes: whether genes are checked; without a gene table they cannot be.
    """
    name = NAME if genes else f"{NAME}, genes not checked"
    found = ln.Schema.filter(name=name).first()
    if found is not None:
        return found
    features = [feature.with_config(optional=True) for feature in label_features().values()]
    slots = {"obs": ln.Schema(name=f"{NAME}: obs", description=OBS_DESCRIPTION, features=features).save()}
    if genes:
        about = "Measured genes by Ensembl id"
        genes_schema = ln.Schema(
            name=f"{NAME}: var", description=about, itype=bt.Gene.ensembl_gene_id, maximal_set=True
        )
        slots["var.T"] = genes_schema.save()
    return ln.Schema(name=name, description=DESCRIPTION, otype="AnnData", slots=slots).save()


def validate(checked: CheckedFile, records: Records) -> ln.Schema:
    """Hold a file's terms against the registries with LaminDB's AnnData curator.

    The curator gets the terms by their names in the ontologies, each once, and the Ensembl ids: a file keeps the
    names of its deposit, and millions of cells need not be looked at again.

    Returns:
        The schema that holds.

    Raises:
        InputError: it does not.
    """
    schema = curated_schema(genes=not checked.genes.empty)
    labels = {feature: pd.Series([one.name for one in found], dtype=object) for feature, found in records.items()}
    obs = pd.DataFrame(labels).astype("category")
    obs.index = obs.index.astype(str)
    var = pd.DataFrame(index=pd.Index(checked.genes["ensembl_gene_id"], name=None))
    with _genes_are_human():
        try:
            ln.curators.AnnDataCurator(ad.AnnData(obs=obs, var=var), schema).validate()
        except ValidationError as error:
            raise InputError(
                f"LaminDB's curator does not accept it: {error}",
                where=checked.tables.path,
                fix=f"See the schema {schema.name!r} of the instance.",
            ) from error
    return schema


@contextmanager
def _genes_are_human() -> Iterator[None]:
    """Let bionty 2.5 take Ensembl ids as human: it would fetch a table of prefixes from a server to tell."""
    ask, organism = _organism.infer_organism_from_ensembl_id, human()
    _organism.infer_organism_from_ensembl_id = lambda *_, **__: organism
    try:
        yield
    finally:
        _organism.infer_organism_from_ensembl_id = ask


def _feature(name: str, dtype: Any, about: str) -> ln.Feature:
    kind = ln.Feature.filter(name=FEATURE_TYPE, is_type=True).first()
    kind = kind or ln.Feature(name=FEATURE_TYPE, is_type=True, description="Features of this benchmark").save()
    found = ln.Feature.filter(name=name, type=kind).order_by("id").first()
    return found or ln.Feature(name=name, dtype=dtype, description=about, type=kind).save()
