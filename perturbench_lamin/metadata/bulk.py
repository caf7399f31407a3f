"""Many records in a few statements: LaminDB's own save takes one a record, and fails on equal ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perturbench_lamin.errors import InputError, some

BATCH = 500


def ensure(registry: Any, key: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The records of a registry by the field ``key``, made where there are none.

    Args:
        registry: such as :class:`bionty.Gene`.
        key: a field whose values tell the records apart, such as ``name``.
        rows: the fields of each record; of equal keys, the first counts.

    Raises:
        InputError: a record is in the trash.
    """
    wanted: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        wanted.setdefault(str(row[key]), row)
    found = _by_key(registry, key, wanted)
    missing = [row for value, row in wanted.items() if value not in found]
    if missing:
        made = [registry(**row, _skip_validation=True) for row in missing]
        registry.objects.bulk_create(made, batch_size=BATCH, ignore_conflicts=True)
        found = _by_key(registry, key, wanted)
    hidden = sorted(wanted.keys() - found.keys())
    if hidden:
        raise InputError(
            f"The instance has {len(hidden):,} records of {registry.__name__} that are not shown",
            where=f"{registry.__name__}.{key}",
            fix=f"Restore them from the trash or another branch: {some(hidden, 5)}.",
        )
    return {value: found[value] for value in wanted}


def link(registry: Any, field: str, pairs: Iterable[tuple[Any, Any]]) -> None:
    """Link records through a many-to-many field; links that are there stay."""
    relation = registry._meta.get_field(field)
    through = relation.remote_field.through
    left, right = f"{relation.m2m_field_name()}_id", f"{relation.m2m_reverse_field_name()}_id"
    links = [through(**{left: one.pk, right: other.pk}) for one, other in pairs]
    through.objects.bulk_create(links, batch_size=BATCH, ignore_conflicts=True)


def _by_key(registry: Any, key: str, wanted: Iterable[str]) -> dict[str, Any]:
    values = list(wanted)
    found: dict[str, Any] = {}
    for start in range(0, len(values), BATCH):
        records = registry.filter(**{f"{key}__in": values[start : start + BATCH]}).order_by("-id")
        found.update({str(getattr(record, key)): record for record in records})
    return found
