"""What an R data file holds, as a plain tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NA_INTEGER = -(2**31)
NULL_SLOT = "\x01NULL\x01"


@dataclass(slots=True)
class RObject:
    """One R object.

    Attributes:
        kind: ``logical integer double complex raw character list S4 environment symbol pairlist other``.
        value: an array for the atomic kinds (a missing integer or logical is −2³¹), a list of ``str | None``
            for ``character``, a list for ``list``, a list of (tag, item) for ``pairlist``, a dictionary for
            ``environment``, a string for ``symbol``, None for the rest.
        attributes: R's attributes; for ``S4`` its slots, and ``class``.
    """

    kind: str
    value: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def r_class(self) -> str:
        """The first class of the object; its kind where it has none."""
        declared = self.attributes.get("class")
        return str(declared.value[0]) if isinstance(declared, RObject) and declared.value else self.kind

    @property
    def names(self) -> list[str]:
        """The names of a list's elements or of an environment's variables; empty where it has none."""
        if self.kind == "environment":
            return list(self.value)
        names = self.attributes.get("names")
        return [str(name) for name in names.value] if isinstance(names, RObject) else []

    def slot(self, name: str) -> Any:
        """An attribute or S4 slot by name; None where there is none or it is NULL."""
        found = self.attributes.get(name)
        is_null = isinstance(found, RObject) and found.kind == "symbol" and found.value == NULL_SLOT
        return None if is_null else found

    def element(self, name: str) -> Any:
        """An element of a named list or environment; None where there is none."""
        values = self.value.values() if self.kind == "environment" else self.value or []
        return dict(zip(self.names, values, strict=False)).get(name)
