"""What a comparison finds: a verdict for each part of the files, and one for the whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from perturbench_lamin.files import write_text

FORMAT = "perturbench-lamin comparison 1"


class Verdict(StrEnum):
    """How two contents relate; from best to worst."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    COMPARED = "the same in what was compared"
    DIFFERENT = "different"


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of some verdicts; identical where there is none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.IDENTICAL)


@dataclass(frozen=True)
class Part:
    """One part of two files, such as the cells, X or the uns.

    Attributes:
        name: of the part.
        senses: in what sense the part is the same without being identical, such as ``cell order``.
        differences: what is not the same, a sentence each.
        notes: what a reader should know and what counts neither way.
        details: numbers and examples, as plain JSON values.
        uncompared: what could not be compared, and why.
    """

    name: str
    senses: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    uncompared: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Different where anything differs; else whether all was compared; else whether in a sense, or identical."""
        if self.differences:
            return Verdict.DIFFERENT
        if self.uncompared:
            return Verdict.COMPARED
        return Verdict.EQUIVALENT if self.senses else Verdict.IDENTICAL


def combined(
    name: str,
    parts: Sequence[Part],
    *,
    senses: Sequence[str] = (),
    differences: Sequence[str] = (),
    details: Mapping[str, Any] | None = None,
) -> Part:
    """Several parts as one: what each says, its details under its name, and what more there is to say."""
    return Part(
        name,
        senses=(*(text for part in parts for text in part.senses), *senses),
        differences=(*(text for part in parts for text in part.differences), *differences),
        notes=tuple(text for part in parts for text in part.notes),
        details={part.name: dict(part.details) for part in parts} | dict(details or {}),
        uncompared=tuple(text for part in parts for text in part.uncompared),
    )


@dataclass(frozen=True)
class FileFacts:
    """What a file is.

    Attributes:
        path: where it lies, or another name for it.
        cells: rows.
        genes: columns.
        matrices: place → encoding and dtype, such as ``X → csr float32``.
    """

    path: str
    cells: int
    genes: int
    matrices: Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two files compared.

    Attributes:
        a: the first file.
        b: the second file.
        parts: in the order in which they were compared.
        settings: tolerances and options, as plain JSON values.
    """

    a: FileFacts
    b: FileFacts
    parts: tuple[Part, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the parts' verdicts."""
        return worst([part.verdict for part in self.parts])

    @property
    def senses(self) -> tuple[str, ...]:
        """In what senses the files are the same without being identical."""
        return tuple(dict.fromkeys(sense for part in self.parts for sense in part.senses))

    @property
    def differences(self) -> tuple[str, ...]:
        """Everything that differs."""
        return tuple(text for part in self.parts for text in part.differences)

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Everything that could not be compared."""
        return tuple(text for part in self.parts for text in part.uncompared)

    def named(self, a: str, b: str) -> Comparison:
        """The same comparison with other names for the two files."""
        return replace(self, a=replace(self.a, path=a), b=replace(self.b, path=b))

    def part(self, name: str) -> Part:
        """A part by name.

        Raises:
            KeyError: the comparison has no such part.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        parts = [{**asdict(part), "details": dict(part.details), "verdict": str(part.verdict)} for part in self.parts]
        return {
            "format": FORMAT,
            "verdict": str(self.verdict),
            "senses": list(self.senses),
            "differences": list(self.differences),
            "uncompared": list(self.uncompared),
            "a": {**asdict(self.a), "matrices": dict(self.a.matrices)},
            "b": {**asdict(self.b), "matrices": dict(self.b.matrices)},
            "settings": dict(self.settings),
            "parts": parts,
        }

    def write_json(self, path: str | Path) -> Path:
        """Write :meth:`to_dict` atomically; the same comparison gives the same bytes. NaN is written as null."""
        return write_text(path, json.dumps(_plain(self.to_dict()), indent=1, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    """Strict JSON: no NaN, no infinity."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None if value != value else str(value)
    return value
