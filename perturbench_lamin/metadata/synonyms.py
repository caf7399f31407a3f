"""The reviewed table of synonyms: what a dataset calls a thing, and the ontology's term for it.

``synonyms.csv`` has the columns ``dataset, registry, value, ontology_id, name``. A ``dataset`` of ``*`` holds
everywhere. An empty ``ontology_id`` says that somebody looked, and that the ontology has no such term.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.metadata.terms import GENE, REGISTRIES, Term
from perturbench_lamin.storage.csv_file import read_csv

COLUMNS = ("dataset", "registry", "value", "ontology_id", "name")
EVERYWHERE = "*"


@dataclass(frozen=True)
class Synonyms:
    """Reviewed synonyms, by dataset, registry and value; genes by exact case, others by any.

    Attributes:
        rows: ``(dataset, registry, value)`` to ``(ontology_id, name)``.
    """

    rows: Mapping[tuple[str, str, str], tuple[str, str]]

    @classmethod
    def read(cls, *more: str | Path) -> Synonyms:
        """The package's table, and those in ``more``; later rows win.

        Raises:
            InputError: a table has other columns, an unknown registry, an empty value or a value twice.
        """
        own = resources.files("perturbench_lamin.metadata") / "synonyms.csv"
        with resources.as_file(own) as path:
            tables = [_read(path), *(_read(Path(one)) for one in more)]
        return cls({key: term for table in tables for key, term in table.items()})

    def find(self, dataset: str, registry: str, value: str) -> Term | None:
        """The term that the value stands for in that dataset."""
        for where in (dataset, EVERYWHERE):
            row = self.rows.get((where, registry, _key(registry, value)))
            if row is not None:
                return Term(registry, *row, "synonym table" if row[0] else "synonym table: in no ontology")
        return None

    def find_any(self, dataset: str, registries: Sequence[str], value: str) -> Term | None:
        """The first of several registries that has the value."""
        found = (self.find(dataset, registry, value) for registry in registries)
        return next((term for term in found if term is not None), None)


def _read(path: Path) -> dict[tuple[str, str, str], tuple[str, str]]:
    file = read_csv(path)
    if tuple(file.table.columns) != COLUMNS:
        raise InputError(
            f"Columns {', '.join(map(repr, file.table.columns))}", where=path, fix=f"Columns: {', '.join(COLUMNS)}."
        )
    rows: dict[tuple[str, str, str], tuple[str, str]] = {}
    for row, (dataset, registry, value, ontology_id, name) in enumerate(file.table.itertuples(index=False)):
        where = file.place(row)
        if registry not in REGISTRIES:
            raise InputError(f"Unknown registry {registry!r}", where=where, fix=nearest(registry, REGISTRIES))
        if not (dataset and value and name):
            raise InputError("A dataset, value or name is empty", where=where, fix="Only ontology_id may be empty.")
        key = (dataset, registry, _key(registry, value))
        if key in rows:
            raise InputError(f"The value {value!r} stands there twice", where=where, fix="Keep one row.")
        rows[key] = (ontology_id, name)
    return rows


def _key(registry: str, value: str) -> str:
    return value if registry == GENE else value.casefold()
