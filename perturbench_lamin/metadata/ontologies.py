"""Ontologies without a network: tables of terms that the package cellxgene-ontology-guide ships.

It ships labels, and synonyms of the Cell Ontology alone; Cellosaurus' synonyms and ChEBI's InChIKeys are not in it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import pandas as pd

from perturbench_lamin.metadata.terms import BIOLOGICS, CELL_LINE, CELL_TYPE, CO_CULTURE, COMPOUND, Term

SHIPPED: Mapping[str, tuple[str, str]] = {
    CELL_LINE: ("CVCL", "Cellosaurus"),
    CELL_TYPE: ("CL", "Cell Ontology"),
    COMPOUND: ("CHEBI", "ChEBI"),
    **{kind: ("UniProt", "UniProt") for kind in BIOLOGICS if kind != CO_CULTURE},
}
"""The shipped ontology of a registry, and its full name."""


@dataclass(frozen=True)
class Ontology:
    """A table of terms, looked up by name.

    Attributes:
        registry: what its terms are.
        name: its name, for messages.
        version: of the ontology.
        table: ``ontology_id, name, synonyms``, one row a term; synonyms are joined by ``|``.
    """

    registry: str
    name: str
    version: str
    table: pd.DataFrame = field(compare=False, repr=False)

    def find(self, value: str) -> Term | None:
        """The one term of that name, else of that name in another case, else of that synonym; None for none or many."""
        for how, index, key in (
            (f"name in {self.name}", self._names, value),
            (f"name in {self.name}, in another case", self._folded, value.casefold()),
            (f"synonym in {self.name}", self._synonyms, value.casefold()),
        ):
            rows = index.get(key, ())
            if len(rows) == 1:
                return self._term(rows[0], how)
        return None

    def get(self, ontology_id: str) -> Term | None:
        """The term of that identifier."""
        row = self._ids.get(ontology_id)
        return None if row is None else self._term(row, f"identifier in {self.name}")

    def nearest(self, value: str, n: int = 3) -> tuple[str, ...]:
        """The terms most similar to ``value``, as ``name (id)``: those that differ in signs and case alone first."""
        wanted = _squeezed(value)
        same = self._squeezed.get(wanted, [])
        near = [name for key in self._alike(wanted, n) for name in self._squeezed[key]]
        names = list(dict.fromkeys([*same, *near]))[:n]
        return tuple(f"{name} ({self.table['ontology_id'].iat[self._names[name][0]]})" for name in names)

    def _alike(self, wanted: str, n: int) -> list[str]:
        """Squeezed names close to ``wanted``, among those that begin alike: a look at all would take seconds."""
        close = [key for key in self._squeezed if key[:1] == wanted[:1] and abs(len(key) - len(wanted)) <= 2]
        return difflib.get_close_matches(wanted, close, n=n, cutoff=0.6)

    def _term(self, row: int, how: str) -> Term:
        return Term(self.registry, str(self.table["ontology_id"].iat[row]), str(self.table["name"].iat[row]), how)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {term: row for row, term in enumerate(self.table["ontology_id"])}

    @cached_property
    def _names(self) -> dict[str, list[int]]:
        return _index(enumerate(self.table["name"]))

    @cached_property
    def _folded(self) -> dict[str, list[int]]:
        return _index((row, name.casefold()) for row, name in enumerate(self.table["name"]))

    @cached_property
    def _synonyms(self) -> dict[str, list[int]]:
        texts = ((row, text) for row, text in enumerate(self.table["synonyms"]) if text)
        return _index((row, word.casefold()) for row, text in texts for word in text.split("|"))

    @cached_property
    def _squeezed(self) -> dict[str, list[str]]:
        squeezed: dict[str, list[str]] = {}
        for name in self.table["name"]:
            squeezed.setdefault(_squeezed(name), []).append(name)
        return squeezed


@cache
def shipped(registry: str) -> Ontology:
    """The shipped ontology of a registry, of the newest schema in the installed package; obsolete terms left out."""
    code, name = SHIPPED[registry]
    guide = _guide()
    terms = guide.CXGSchema().ontology(code)
    rows = [
        (term, about["label"], "|".join(about.get("synonyms", ())))
        for term, about in terms.items()
        if not about["deprecated"] and about["label"]
    ]
    guide.clear_ontology_file_cache()  # ChEBI's ancestors take half a gigabyte
    table = pd.DataFrame(rows, columns=["ontology_id", "name", "synonyms"], dtype=str)
    return Ontology(registry, name, shipped_version(registry), table)


def shipped_version(registry: str) -> str:
    """Its version, without reading it."""
    return str(_guide().CXGSchema().supported_ontologies[SHIPPED[registry][0]]["version"])


def _guide() -> Any:
    from cellxgene_ontology_guide import supported_versions  # type: ignore[import-untyped]

    return supported_versions


def _index(pairs: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    index: dict[str, list[int]] = {}
    for row, key in pairs:
        index.setdefault(key, []).append(row)
    return index


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
