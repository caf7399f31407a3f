"""Gene tables to register: from a file, or from a release of Ensembl as bionty publishes it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd

from perturbench_lamin.curation.genes import COLUMNS, GeneTable
from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path, sha256


def bionty_genes(release: str) -> GeneTable:
    """The human genes of a release of Ensembl, downloaded by bionty.

    Args:
        release: such as ``release-114``.

    Raises:
        InputError: bionty has no such release, or cannot be reached.
    """
    import bionty.base as bt_base

    try:
        table = bt_base.Gene(organism="human", source="ensembl", version=release).to_dataframe()
    except Exception as error:  # bionty raises what its HTTP client or its parser does
        raise InputError(
            f"bionty gave no gene table: {type(error).__name__}: {error}",
            where=f"Ensembl {release}",
            fix="Check the network and the release, or give a file: --genes FILE.",
        ) from error
    return from_bionty(table.reset_index())


def from_bionty(table: pd.DataFrame) -> GeneTable:
    """A gene table of bionty's columns ``ensembl_gene_id, symbol, biotype``.

    Genes of alternative sequences share a symbol with the one of the primary assembly; all are kept. Versions
    and lengths, which bionty does not publish, are empty.

    Raises:
        InputError: a column is missing, or an id occurs twice with different values.
    """
    missing = {"ensembl_gene_id", "symbol", "biotype"} - set(table.columns)
    if missing:
        raise InputError(f"bionty's table has no column {', '.join(sorted(missing))}", where="bionty's Ensembl source")
    found = table[["ensembl_gene_id", "symbol", "biotype"]].astype(object).fillna("").astype(str).drop_duplicates()
    twice = found["ensembl_gene_id"][found["ensembl_gene_id"].duplicated()]
    if len(twice):
        raise InputError(
            "An Ensembl id has two symbols or biotypes",
            where=f"bionty's Ensembl source, {twice.iloc[0]}",
            fix="Give a file instead: --genes FILE.",
        )
    genes = found.rename(columns={"ensembl_gene_id": "ensembl_id"}).assign(version="", length="")
    return GeneTable(genes[list(COLUMNS)].sort_values("ensembl_id").reset_index(drop=True))


def write_gene_table(genes: GeneTable, path: str | Path) -> Path:
    """Write a table that :meth:`GeneTable.read` reads: CSV without header, gzip; the same genes, the same bytes."""
    text = genes.table[list(COLUMNS)].to_csv(index=False, header=False, lineterminator="\n")
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))
    return Path(path)


def origin_of(gene_file: str | Path | None, release: str) -> str:
    """In plain words, where a table comes from."""
    if gene_file:
        return f"file {Path(gene_file).name}, SHA-256 {sha256(Path(gene_file))}"
    return f"Ensembl {release}, human, as published by bionty"
