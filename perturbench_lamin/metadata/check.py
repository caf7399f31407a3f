"""Checking what a curated file says against ontologies, without an instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from perturbench_lamin.curation.report import Note, note_of
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.metadata.datasets import UNTREATED, DatasetTerms, terms_of
from perturbench_lamin.metadata.file_tables import FileTables, read_tables
from perturbench_lamin.metadata.genes import Genes
from perturbench_lamin.metadata.measured import measured_genes
from perturbench_lamin.metadata.resolve import UNCHECKED_GENE, Resolver
from perturbench_lamin.metadata.synonyms import Synonyms
from perturbench_lamin.metadata.terms import COMPOUND, REGISTRIES, Term, UnknownTerm, Use

UNCHECKED_SIMULATION = "simulated: not checked"


@dataclass(frozen=True)
class CheckOptions:
    """How strict to be.

    Attributes:
        simulated: names that nothing explains are recorded rather than refused: a simulation may invent them.
        max_unknown_genes: the share of the file's genes that may be missing from the gene table. Annotations
            retire genes, so a few always are; a file of another species has none in common.
        synonyms: more tables of synonyms.
    """

    simulated: bool = False
    max_unknown_genes: float = 0.25
    synonyms: Sequence[str | Path] = ()


@dataclass(frozen=True)
class CheckedFile:
    """A curated file, and what its values stand for.

    Attributes:
        dataset: its name.
        terms: what its columns mean.
        tables: its distinct states of cells.
        uses: every value and its term, by column and value.
        genes: the measured genes that the gene table knows: ``ensembl_gene_id, symbol, biotype``.
        annotation: which gene table that was.
        notes: what was not checked, and what was accepted although no ontology has it.
    """

    dataset: str
    terms: DatasetTerms
    tables: FileTables
    uses: Mapping[tuple[str, str], Use]
    genes: pd.DataFrame = field(compare=False)
    annotation: Genes | None = None
    notes: tuple[Note, ...] = ()

    def term(self, column: str, value: str) -> Term:
        """What a value of a column stands for."""
        return self.uses[column, value].term

    def table(self) -> pd.DataFrame:
        """A row a value: ``column, value, cells, registry, ontology_id, name, how``, for a notebook."""
        rows = [
            (use.column, use.value, use.cells, use.term.registry, use.term.ontology_id, use.term.name, use.term.how)
            for use in self.uses.values()
        ]
        return pd.DataFrame(rows, columns=["column", "value", "cells", "registry", "ontology_id", "name", "how"])

    def notes_table(self) -> pd.DataFrame:
        """A row a note: ``checked, remark, count, examples``."""
        rows = [(note.step, note.reason, note.count, note.examples) for note in self.notes]
        return pd.DataFrame(rows, columns=["checked", "remark", "count", "examples"])


def check_terms(
    path: str | Path,
    dataset: str,
    *,
    genes: Genes | None = None,
    terms: DatasetTerms | None = None,
    options: CheckOptions | None = None,
) -> CheckedFile:
    """Look up every cell line, cell type, treatment and perturbation of a curated file, and its genes.

    Args:
        path: the file.
        dataset: its name.
        genes: the gene annotation; without one, genes are recorded as not checked.
        terms: what its columns mean; by default as the catalog's dataset of that name.
        options: how strict to be.

    Raises:
        InputError: terms do not validate: each is named with its column, its number of cells and the nearest
            terms; or the file does not keep the contract.
    """
    options, terms = options or CheckOptions(), terms or terms_of(dataset)
    tables = read_tables(path, terms.columns)
    measured_ids = {} if options.simulated else tables.ensembl_ids  # a simulation's are of no real gene
    resolver = Resolver(dataset, Synonyms.read(*options.synonyms), genes, measured_ids)
    found = [_resolve(tables, resolver, options, *one) for one in _values(tables, terms)]
    unknown = [one for one in found if isinstance(one, UnknownTerm)]
    if unknown:
        raise InputError(
            f"{len(unknown):,} terms do not validate\n{_listed(unknown)}",
            where=path,
            fix="Correct the name in the notebook, or review it and add a row to a table of synonyms.",
        )
    uses = {(use.column, use.value): use for use in found if isinstance(use, Use)}
    if options.synonyms:
        _require_existing(uses, resolver, ", ".join(map(str, options.synonyms)))
    measured, notes = measured_genes(tables, genes, 1.0 if options.simulated else options.max_unknown_genes)
    notes = (*_column_notes(tables, terms), *_term_notes(uses), *notes)
    return CheckedFile(dataset, terms, tables, uses, measured, genes, notes)


def _require_existing(uses: Mapping[tuple[str, str], Use], resolver: Resolver, where: object) -> None:
    """Refuse rows of a user's table whose identifiers are not those of the terms that they name."""
    strange = [use for use in uses.values() if not resolver.exists(use.term)]
    wrong = [f"{use.value}: {use.term.ontology_id} {use.term.name}" for use in strange]
    if wrong:
        raise InputError(
            f"{len(wrong):,} synonyms name terms that are not in the ontology by that identifier and name",
            where=where,
            fix=f"Correct the rows: {some(wrong, 5)}.",
        )


def _listed(unknown: Sequence[UnknownTerm], n: int = 20) -> str:
    lines = [f"  {one}" for one in unknown[:n]]
    rest = [f"  … and {len(unknown) - n:,} more"] if len(unknown) > n else []
    return "\n".join([*lines, *rest])


def _values(tables: FileTables, terms: DatasetTerms) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """Each ``column, value, cells, registries`` to look up: of the covariates, and the parts of the conditions."""
    keys, states = tables.info.keys, tables.states
    found = []
    for column, registries in terms.columns.items():
        if column in states:
            cells = states.groupby(column)["cells"].sum()
            found += [(column, str(value), int(n), registries) for value, n in cells.items() if value != UNTREATED]
    conditions = states.groupby(keys.perturbation)["cells"].sum()
    parts = tables.info.conditions.astype({"condition": str, "token": str})
    parts = parts[parts["condition"].isin(conditions.index)]
    tokens = parts.assign(cells=parts["condition"].map(conditions)).groupby("token")["cells"].sum()
    return found + [(keys.perturbation, str(token), int(n), (terms.condition,)) for token, n in tokens.items()]


def _resolve(
    tables: FileTables, resolver: Resolver, options: CheckOptions, column: str, value: str, cells: int, kinds: tuple
) -> Use | UnknownTerm:
    term = resolver.find_any(kinds, value)
    if term is None and kinds == (COMPOUND,) and column == tables.info.keys.perturbation:
        known = [kind for kind in ("inchikey", "smiles") if kind in tables.structures.get(value, {})]
        if known:
            term = Term(COMPOUND, "", value, f"not in ChEBI by name: identified by its {known[0]}")
    if term is None and options.simulated:
        term = Term(kinds[0], "", value, UNCHECKED_SIMULATION)
    if term is None:
        return UnknownTerm(column, value, cells, " or ".join(kinds), resolver.nearest(kinds, value))
    return Use(column, value, cells, term)


def _column_notes(tables: FileTables, terms: DatasetTerms) -> list[Note]:
    absent = [column for column in terms.columns if column not in tables.states]
    notes = note_of("columns", "not checked: the file has no such column", absent)
    if terms.condition == COMPOUND and "dose" not in tables.states:
        notes += note_of("columns", "doses not recorded: the file has no such column", ["dose"])
    return notes


def _term_notes(uses: Mapping[tuple[str, str], Use]) -> list[Note]:
    reasons: dict[tuple[int, str], list[str]] = {}
    for use in uses.values():
        if not use.term.ontology_id or use.term.how == UNCHECKED_GENE:
            reason = use.term.how.partition(" (")[0]
            reasons.setdefault((REGISTRIES.index(use.term.registry), reason), []).append(use.value)
    return [
        note for (place, why), values in sorted(reasons.items()) for note in note_of(REGISTRIES[place], why, values)
    ]
