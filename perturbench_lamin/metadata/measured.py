"""The genes that a file measures, checked against a gene annotation."""

from __future__ import annotations

import pandas as pd

from perturbench_lamin.curation.report import Note, note_of
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.metadata.file_tables import FileTables
from perturbench_lamin.metadata.genes import Genes

COLUMNS = ("ensembl_gene_id", "symbol", "biotype")


def measured_genes(
    tables: FileTables, genes: Genes | None, max_unknown: float
) -> tuple[pd.DataFrame, tuple[Note, ...]]:
    """Those of the file's genes that the annotation knows, by Ensembl id where the file has ids, else by symbol.

    Args:
        tables: of the file.
        genes: the annotation; None for none, which is noted.
        max_unknown: the share of genes that may be unknown; they are noted.

    Returns:
        ``ensembl_gene_id, symbol, biotype`` as in the annotation, sorted by id; and the notes.

    Raises:
        InputError: more genes are unknown.
    """
    if genes is None:
        unchecked = note_of("genes", "not checked: no gene table", tables.symbols)
        return pd.DataFrame(columns=COLUMNS, dtype=str), tuple(unchecked)
    found = dict.fromkeys(tables.symbols, "")
    for symbol in tables.symbols:
        own = tables.ensembl_ids.get(symbol)
        term = genes.by_id(own) if own else genes.by_symbol(symbol)
        found[symbol] = term.ontology_id if term else ""
    unknown = [symbol for symbol, one in found.items() if not one]
    if len(unknown) > max_unknown * len(tables.symbols):
        raise InputError(
            f"{len(unknown):,} of {len(tables.symbols):,} genes are not in the gene table {genes.version}",
            where=f"{tables.path}, var",
            fix="Name the annotation of this species, of a near release; unknown are "
            + some((f"{symbol} {tables.ensembl_ids.get(symbol, '')}".strip() for symbol in unknown), 5),
        )
    ids = genes.known(one for one in found.values() if one)
    by_symbol = [symbol for symbol in tables.symbols if found[symbol] and not tables.ensembl_ids.get(symbol)]
    notes = (
        *note_of("genes", "measured, but not in the gene table (retired, or renamed)", unknown),
        *note_of("genes", "checked by symbol: the file has no Ensembl id", by_symbol),
    )
    return genes.rows(ids).reset_index(drop=True), notes
