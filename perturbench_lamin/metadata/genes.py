"""Genes of a frozen annotation: Ensembl ids and symbols, looked up exactly."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from perturbench_lamin.curation.genes import GeneTable
from perturbench_lamin.errors import InputError
from perturbench_lamin.files import sha256
from perturbench_lamin.metadata.terms import GENE, Term

PROTEIN_CODING = "protein_coding"


@dataclass(frozen=True)
class Genes:
    """A gene annotation.

    Attributes:
        version: says which, whatever the file is called: the first digits of its SHA-256.
        table: ``ensembl_gene_id, symbol, biotype``, one row a gene.
    """

    version: str
    table: pd.DataFrame = field(compare=False, repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Genes:
        """Read the table that :class:`~perturbench_lamin.curation.genes.GeneTable` reads.

        Raises:
            InputError: no such file, other columns, an id twice, or genes of another species than human.
        """
        table = GeneTable.read(path).table.rename(columns={"ensembl_id": "ensembl_gene_id"})
        strange = table["ensembl_gene_id"][~table["ensembl_gene_id"].str.fullmatch(r"ENSG\d+")]
        if len(strange) > len(table) / 2:
            raise InputError(
                f"{len(strange):,} of {len(table):,} ids are not those of human genes, ENSG…",
                where=path,
                fix=f"Name the annotation of the right species; the first such id is {strange.iloc[0]}.",
            )
        return cls(f"sha256-{sha256(path)[:12]}", table[["ensembl_gene_id", "symbol", "biotype"]])

    def by_id(self, ensembl_id: str) -> Term | None:
        """The gene of that Ensembl id, without its version."""
        row = self._rows.get(ensembl_id)
        return None if row is None else Term(GENE, ensembl_id, self._symbol(row), "Ensembl id in the gene table")

    def by_symbol(self, symbol: str, prefer: str = "") -> Term | None:
        """The gene of that symbol, in this case.

        Of several, the one whose id is ``prefer``, else the one that codes for a protein; None where that leaves
        none or several.
        """
        ids = self._ids.get(symbol, [])
        coding = [one for one in ids if self.table["biotype"].iat[self._rows[one]] == PROTEIN_CODING]
        for choice in ([one for one in ids if one == prefer], ids, coding):
            if len(choice) == 1:
                return Term(GENE, choice[0], symbol, "symbol in the gene table")
        return None

    def known(self, ensembl_ids: Iterable[str]) -> pd.Index:
        """Those of the ids that are in the table, each once, sorted."""
        return pd.Index(sorted(set(ensembl_ids) & self._rows.keys()))

    def rows(self, ensembl_ids: Iterable[str]) -> pd.DataFrame:
        """The rows of these ids, in their order."""
        return self.table.iloc[[self._rows[one] for one in ensembl_ids]]

    def nearest(self, symbol: str, n: int = 3) -> tuple[str, ...]:
        """The symbols most like ``symbol``, as ``symbol (id)``."""
        folded: dict[str, str] = {}
        for one in self._ids:
            if one[:1].casefold() == symbol[:1].casefold() and abs(len(one) - len(symbol)) <= 2:
                folded.setdefault(one.casefold(), one)
        close = difflib.get_close_matches(symbol.casefold(), folded, n=n, cutoff=0.6)
        return tuple(f"{folded[one]} ({self._ids[folded[one]][0]})" for one in close)

    def _symbol(self, row: int) -> str:
        return str(self.table["symbol"].iat[row]) or str(self.table["ensembl_gene_id"].iat[row])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {one: row for row, one in enumerate(self.table["ensembl_gene_id"])}

    @cached_property
    def _ids(self) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = {}
        for one, symbol in zip(self.table["ensembl_gene_id"], self.table["symbol"], strict=True):
            if symbol:
                ids.setdefault(symbol, []).append(one)
        return ids
