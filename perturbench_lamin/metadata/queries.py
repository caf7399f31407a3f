"""Questions to the instance: in which datasets is a gene perturbed in a cell line?"""

from __future__ import annotations

from typing import Any

import bionty as bt
import lamindb as ln
import pertdb as pt

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.metadata import sources
from perturbench_lamin.metadata.resolve import UNCHECKED_GENE, Resolver
from perturbench_lamin.metadata.schema import FEATURE_TYPE
from perturbench_lamin.metadata.synonyms import EVERYWHERE, Synonyms
from perturbench_lamin.metadata.terms import CELL_LINE, CELL_TYPE, COMPOUND, GENE

LINKS = {
    GENE: "genetic_perturbations__targets__name",
    COMPOUND: "compound_perturbations__compound__name",
    CELL_LINE: "cell_lines__name",
    CELL_TYPE: "cell_types__name",
}
"""The way from an artifact to the name that is asked for."""


def datasets_with(
    *,
    perturbed_gene: str | None = None,
    compound: str | None = None,
    cell_line: str | None = None,
    cell_type: str | None = None,
) -> list[ln.Artifact]:
    """The latest curated files in which a gene or compound is perturbed, in a cell line or type where one is named.

    ``datasets_with(perturbed_gene="KLF1", cell_line="K562")``: both in the *same* cells, alone or in a combination.

    Args:
        perturbed_gene: a symbol, former symbol or Ensembl id.
        compound: a name.
        cell_line: a name in Cellosaurus or in the table of synonyms.
        cell_type: a name in the Cell Ontology or in the table of synonyms.

    Returns:
        Artifacts, by key; none where nothing fits.

    Raises:
        InputError: nothing is asked, two kinds of perturbation or of cells are, or a name is unknown.
    """
    perturbation = _one({GENE: perturbed_gene, COMPOUND: compound}, "perturbation")
    cells = _one({CELL_LINE: cell_line, CELL_TYPE: cell_type}, "kind of cells")
    if perturbation is None and cells is None:
        raise InputError("Nothing is asked", where="datasets_with", fix="Name a gene, a compound or a kind of cells.")
    found = ln.Artifact.filter(is_latest=True)
    for asked in (perturbation, cells):
        if asked is not None:
            found = found.filter(**{LINKS[asked[0]]: asked[1]})
    files = found.distinct().order_by("key").to_list()
    if perturbation is None or cells is None:
        return files
    return [file for file in files if perturbation[1] in _perturbed_in(file).get(cells[1], ())]


def _one(asked: dict[str, str | None], what: str) -> tuple[str, str] | None:
    """The one thing that is asked, as its kind and its name in the ontology."""
    named = [(kind, value) for kind, value in asked.items() if value is not None]
    if len(named) > 1:
        raise InputError(f"More than one {what} is asked", where="datasets_with", fix="Ask for one at a time.")
    return (named[0][0], _name(*named[0])) if named else None


def _name(kind: str, value: str) -> str:
    known = _names(kind)
    if value in known:
        return value
    linked = pt.PerturbationTarget.filter(genes__ensembl_gene_id=value).first() if kind == GENE else None
    if linked is not None:
        return str(linked.name)
    resolver = Resolver(EVERYWHERE, Synonyms.read(), sources.genes_of_instance())
    term = resolver.find(kind, value)
    if term is None or term.how == UNCHECKED_GENE:
        raise InputError(
            f"No {kind.replace('_', ' ')} {value!r} is known", where="datasets_with", fix=nearest(value, sorted(known))
        )
    return term.name


def _names(kind: str) -> set[str]:
    """The names of that kind that files are linked to."""
    registries: dict[str, Any] = {
        GENE: pt.PerturbationTarget,
        COMPOUND: pt.Compound,
        CELL_LINE: bt.CellLine,
        CELL_TYPE: bt.CellType,
    }
    return set(registries[kind].filter().values_list("name", flat=True))


def _perturbed_in(artifact: ln.Artifact) -> dict[str, list[str]]:
    value = artifact.json_values.filter(feature__name="perturbed_in", feature__type__name=FEATURE_TYPE).first()
    return value.value if value is not None else {}
