"""What a checked value means: a term of an ontology, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass

CELL_LINE, CELL_TYPE, GENE, COMPOUND = "cell_line", "cell_type", "gene", "compound"
CYTOKINE, HORMONE, CO_CULTURE = "cytokine", "hormone", "co-culture"
BIOLOGICS = (CYTOKINE, HORMONE, CO_CULTURE)
"""Treatments that are neither genes nor small molecules: kinds of :class:`pertdb.Biologic`."""
REGISTRIES = (CELL_LINE, CELL_TYPE, GENE, COMPOUND, *BIOLOGICS)


@dataclass(frozen=True)
class Term:
    """A term that a value stands for.

    Attributes:
        registry: one of :data:`REGISTRIES`.
        ontology_id: such as ``CVCL_0004``; empty where no ontology has the term.
        name: the ontology's name of it; a gene's symbol.
        how: how the value was matched.
    """

    registry: str
    ontology_id: str
    name: str
    how: str


@dataclass(frozen=True)
class Use:
    """A value of a curated file and the term it stands for.

    Attributes:
        column: the obs column.
        value: as the file says it; of a combination, one of its parts.
        cells: in how many cells it stands.
        term: what it stands for.
    """

    column: str
    value: str
    cells: int
    term: Term


@dataclass(frozen=True)
class UnknownTerm:
    """A value that no ontology and no synonym explains.

    Attributes:
        column: the obs column.
        value: as the file says it.
        cells: in how many cells it stands.
        registry: what it was looked up as.
        nearest: the most similar terms, as ``name (id)``.
    """

    column: str
    value: str
    cells: int
    registry: str
    nearest: tuple[str, ...] = ()

    def __str__(self) -> str:
        like = f"; nearest: {', '.join(self.nearest)}" if self.nearest else "; nothing like it is known"
        kind = self.registry.replace("_", " ")
        return f"column {self.column!r}: {self.value!r} ({self.cells:,} cells) is no known {kind}{like}"
