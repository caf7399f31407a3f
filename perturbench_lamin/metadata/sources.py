"""The ontologies as sources of the instance, so that its records say where they come from, without a network.

A source that the instance has already, such as one of bionty's own of the same version, is used as it is. The
sources that bionty uses by default stay as they are: :func:`save_sources` names the source with each record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bionty as bt
import pandas as pd
import pertdb as pt

from perturbench_lamin.metadata.check import CheckedFile
from perturbench_lamin.metadata.genes import Genes
from perturbench_lamin.metadata.ontologies import shipped, shipped_version
from perturbench_lamin.metadata.terms import CELL_LINE, CELL_TYPE, COMPOUND, GENE

HUMAN = {"name": "human", "ontology_id": "NCBITaxon:9606", "scientific_name": "homo_sapiens"}
GENE_SOURCE = "gene-table"
SOURCES: Mapping[str, tuple[type, str]] = {
    CELL_LINE: (bt.CellLine, "cellosaurus"),
    CELL_TYPE: (bt.CellType, "cl"),
    COMPOUND: (pt.Compound, "chebi"),
}
"""The registry and the name that bionty gives to a source of its terms."""


def human() -> bt.Organism:
    """The organism of all six datasets, saved."""
    found = bt.Organism.filter(ontology_id=HUMAN["ontology_id"]).first()
    return found or bt.Organism(**HUMAN).save()


def save_sources(checked: CheckedFile) -> dict[str, bt.Source]:
    """The sources of the terms that a file uses, by registry; made where the instance has none."""
    used = {use.term.registry for use in checked.uses.values()}
    sources = {registry: _shipped_source(registry) for registry in SOURCES if registry in used}
    if checked.annotation is not None:
        sources[GENE] = _gene_source(checked.annotation)
    return sources


def genes_of_instance() -> Genes | None:
    """The gene table that was registered last; None where there is none."""
    source = bt.Source.filter(entity="bionty.Gene", name=GENE_SOURCE).order_by("-id").first()
    if source is None or source.dataframe_artifact is None:
        return None
    return Genes(source.version, source.dataframe_artifact.load(is_run_input=False))


def _shipped_source(registry: str) -> bt.Source:
    model, name = SOURCES[registry]
    return _source(model, name, shipped_version(registry), "all", lambda: shipped(registry).table)


def _gene_source(genes: Genes) -> bt.Source:
    human()  # before add_source looks for it elsewhere
    return _source(bt.Gene, GENE_SOURCE, genes.version, str(HUMAN["name"]), lambda: genes.table)


def _source(model: Any, name: str, version: str, organism: str, table: Callable[[], pd.DataFrame]) -> bt.Source:
    what = {"entity": model.__get_name_with_module__(), "name": name, "version": version, "organism": organism}
    found = bt.Source.filter(**what).one_or_none()
    if found is not None and (found.dataframe_artifact_id is not None or found.url):
        return found
    return model.add_source(found or bt.Source(**what, currently_used=False), df=table())
