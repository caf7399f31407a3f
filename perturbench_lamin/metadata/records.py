"""Records of what a curated file says: its terms, its perturbations and what they target."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import bionty as bt
import pandas as pd
import pertdb as pt

from perturbench_lamin.metadata.bulk import ensure, link
from perturbench_lamin.metadata.check import CheckedFile
from perturbench_lamin.metadata.file_tables import DOSE, DOSE_UNIT
from perturbench_lamin.metadata.sources import human, save_sources
from perturbench_lamin.metadata.terms import BIOLOGICS, CELL_LINE, CELL_TYPE, COMPOUND, GENE, Term

Records = Mapping[str, list[Any]]
"""Records by the name of the feature that annotates a file with them."""


def save_records(checked: CheckedFile) -> Records:
    """The records of a checked file, made where the instance has none: by feature, in the order of their names."""
    sources = save_sources(checked)
    _save_measured(checked, sources)
    drugs = _compounds(checked, sources)
    genetic = _genetic(checked, sources)
    chemical = _doses(checked, drugs)
    found = {
        CELL_LINE: _ontology_terms(checked, CELL_LINE, bt.CellLine, sources),
        CELL_TYPE: _ontology_terms(checked, CELL_TYPE, bt.CellType, sources),
        COMPOUND: list(drugs.values()),
        "biologic": _biologics(checked),
        "genetic_perturbation": list(genetic.values()),
        "compound_perturbation": [one for ones in chemical.values() for one in ones],
        "combination_perturbation": _combinations(checked, genetic, chemical),
    }
    return {feature: sorted(records, key=lambda one: one.name) for feature, records in found.items() if records}


def _terms(checked: CheckedFile, *registries: str) -> list[Term]:
    found = {use.term for use in checked.uses.values() if use.term.registry in registries}
    return sorted(found, key=lambda term: (term.registry, term.name, term.ontology_id, term.how))


def _ontology_terms(checked: CheckedFile, registry: str, model: Any, sources: Mapping[str, bt.Source]) -> list[Any]:
    rows = [
        {"ontology_id": term.ontology_id, "name": term.name, "source": sources[registry]}
        for term in _terms(checked, registry)
        if term.ontology_id
    ]
    return list(ensure(model, "ontology_id", rows).values())


def _biologics(checked: CheckedFile) -> list[Any]:
    rows = [
        {"name": term.name, "type": term.registry, "description": term.ontology_id or None}
        for term in _terms(checked, *BIOLOGICS)
    ]
    return list(ensure(pt.Biologic, "name", rows).values())


def _compounds(checked: CheckedFile, sources: Mapping[str, bt.Source]) -> dict[str, Any]:
    """Compounds by name; those that ChEBI lacks have no ontology id, but their structure where the file has it."""
    known = [term for term in _terms(checked, COMPOUND) if term.ontology_id]
    rows = [{"ontology_id": t.ontology_id, "name": t.name, "source": sources[COMPOUND]} for t in known]
    found = ensure(pt.Compound, "ontology_id", rows)
    others = [{"name": term.name} for term in _terms(checked, COMPOUND) if not term.ontology_id]
    compounds = {**{t.name: found[t.ontology_id] for t in known}, **ensure(pt.Compound, "name", others)}
    _add_structures(checked, compounds)
    return compounds


def _add_structures(checked: CheckedFile, compounds: Mapping[str, Any]) -> None:
    """Fill in structures that the file has and the record lacks (in bulk: saving one would ask RDKit for its own)."""
    changed: dict[int, Any] = {}
    for (column, value), use in checked.uses.items():
        structure = checked.tables.structures.get(value, {})
        if column != checked.tables.info.keys.perturbation or use.term.registry != COMPOUND:
            continue
        record = compounds[use.term.name]
        for field, text in structure.items():
            if not getattr(record, field):
                setattr(record, field, text)
                changed[record.pk] = record
    if changed:
        pt.Compound.objects.bulk_update(list(changed.values()), ["smiles", "inchikey"], batch_size=100)


def _doses(checked: CheckedFile, compounds: Mapping[str, Any]) -> dict[tuple[str, str], list[Any]]:
    """The perturbations of each ``(column, value)`` that is a compound, one a dose, by dose."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (column, value), use in checked.uses.items():
        if use.term.registry == COMPOUND:
            doses = _doses_of(checked, column, value)
            rows[column, value] = [_dose_row(compounds[use.term.name], *dose) for dose in doses]
    made = ensure(pt.CompoundPerturbation, "name", [row for ones in rows.values() for row in ones])
    return {key: [made[row["name"]] for row in ones] for key, ones in rows.items()}


def _doses_of(checked: CheckedFile, column: str, value: str) -> list[tuple[float | None, str]]:
    states = checked.tables.states
    mine = states[states[column] == value]
    if mine.empty or DOSE not in states:  # a part of a combination has no dose of its own
        return [(None, "")]
    units = mine[DOSE_UNIT] if DOSE_UNIT in mine else [""] * len(mine)
    pairs = {(None if pd.isna(one) else float(one), str(unit)) for one, unit in zip(mine[DOSE], units, strict=True)}
    return sorted(pairs, key=lambda pair: (pair[0] is not None, pair[0] or 0.0, pair[1]))


def _dose_row(compound: Any, dose: float | None, unit: str) -> dict[str, Any]:
    name = compound.name if dose is None else f"{compound.name} {dose:g} {unit}".strip()
    return {"name": name, "compound": compound, "concentration": dose, "concentration_unit": unit or None}


def _genetic(checked: CheckedFile, sources: Mapping[str, bt.Source]) -> dict[str, Any]:
    """Perturbations by the perturbed gene's symbol, each linked to its target and the target to its gene."""
    terms, system = _terms(checked, GENE), checked.terms.system
    if not terms:
        return {}
    genes = ensure(
        bt.Gene, "ensembl_gene_id", [_gene_row(term, checked, sources) for term in terms if term.ontology_id]
    )
    targets = ensure(pt.PerturbationTarget, "name", [{"name": term.name} for term in terms])
    link(pt.PerturbationTarget, "genes", [(targets[t.name], genes[t.ontology_id]) for t in terms if t.ontology_id])
    rows = [{"name": f"{term.name} {system}", "type": system} for term in terms]
    made = ensure(pt.GeneticPerturbation, "name", rows)
    perturbations = {term.name: made[row["name"]] for term, row in zip(terms, rows, strict=True)}
    link(pt.GeneticPerturbation, "targets", [(one, targets[name]) for name, one in perturbations.items()])
    return perturbations


def _gene_row(term: Term, checked: CheckedFile, sources: Mapping[str, bt.Source]) -> dict[str, Any]:
    known = checked.annotation is not None and checked.annotation.by_id(term.ontology_id) is not None
    source = sources.get(GENE) if known else None
    return {"ensembl_gene_id": term.ontology_id, "symbol": term.name, "organism": human(), "source": source}


def _save_measured(checked: CheckedFile, sources: Mapping[str, bt.Source]) -> None:
    """The measured genes as records: the schema checks a file's genes against them."""
    if checked.genes.empty:
        return
    fixed = {"organism": human(), "source": sources[GENE]}
    rows = [
        {"ensembl_gene_id": one, "symbol": symbol or None, "biotype": biotype or None, **fixed}
        for one, symbol, biotype in checked.genes.itertuples(index=False)
    ]
    ensure(bt.Gene, "ensembl_gene_id", rows)


def _combinations(
    checked: CheckedFile, genetic: Mapping[str, Any], chemical: Mapping[tuple[str, str], list[Any]]
) -> list[Any]:
    """Perturbations of several parts, linked to them."""
    column, members = checked.tables.info.keys.perturbation, {}
    for condition, parts in parts_of(checked).items():
        if len(parts) > 1:
            names = sorted(checked.term(column, part).name for part in parts)
            ends = f" {checked.terms.system}" if checked.terms.system else ""
            members["+".join(names) + ends] = (condition, parts)
    made = ensure(pt.CombinationPerturbation, "name", [{"name": name} for name in sorted(members)])
    if checked.terms.condition == GENE:
        pairs = [(made[n], genetic[checked.term(column, p).name]) for n, (_, parts) in members.items() for p in parts]
        link(pt.CombinationPerturbation, "genetic_perturbations", pairs)
    else:
        pairs = [(made[n], chemical[column, p][0]) for n, (_, parts) in members.items() for p in parts]
        link(pt.CombinationPerturbation, "compound_perturbations", pairs)
    return list(made.values())


def parts_of(checked: CheckedFile) -> dict[str, list[str]]:
    """The parts of each condition that some cell has."""
    info = checked.tables.info
    present = set(checked.tables.states[info.keys.perturbation])
    table = info.conditions.astype({"condition": str, "token": str}).sort_values(["condition", "position"])
    rows = table[["condition", "token"]].itertuples(index=False)
    grouped = {condition: [token for _, token in group] for condition, group in groupby(rows, key=lambda row: row[0])}
    return {condition: parts for condition, parts in grouped.items() if condition in present}
