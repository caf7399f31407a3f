"""What preprocessing is asked for, and what it reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from perturbench_lamin.errors import InputError, many, some


@dataclass(frozen=True)
class PreprocessParams:
    """How to normalise and which genes to keep; the defaults are PerturBench's.

    Attributes:
        highly_variable: how many highly variable genes to keep; 0 for none.
        degs: how many differentially expressed genes to keep of each condition in each state; 0 for none.
        min_cells: a gene must be expressed in at least this many cells.
        target_sum: counts per cell after normalisation; None for the median over all cells.
        ties: how equally variable genes are ranked, ``"scanpy"`` or ``"order"``; see
            :func:`perturbench_lamin.curation.variable_genes.highly_variable`.
    """

    highly_variable: int = 4000
    degs: int = 25
    min_cells: int = 10
    target_sum: float | None = None
    ties: str = "scanpy"

    def __post_init__(self) -> None:
        for name in ("highly_variable", "degs", "min_cells"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, not {getattr(self, name)}", where="PreprocessParams")
        if self.ties not in ("scanpy", "order"):
            raise InputError(f"Unknown ties {self.ties!r}", where="PreprocessParams", fix="Known: scanpy, order.")
        if self.target_sum is not None and not 0 < self.target_sum < float("inf"):
            raise InputError(f"target_sum must be positive, not {self.target_sum}", where="PreprocessParams")


@dataclass(frozen=True)
class Limits:
    """What preprocessing may use; nothing here changes the result.

    Attributes:
        threads: how many; None for the cores that the process may use.
        memory_mib: how large the sums of the differential expression test may grow. Where all groups of
            cells do not fit, they are worked through in blocks, each with a pass over its cells.
        held_mib: how much of the counts may stay in memory between passes; the rest is read again.
        compression: gzip's level, 1 (fast) to 9 (small); 0 for none. It changes the bytes on disk alone.
    """

    threads: int | None = None
    memory_mib: int = 1024
    held_mib: int = 512
    compression: int = 1


@dataclass(frozen=True)
class Note:
    """Something that was left out or done differently, and why.

    Attributes:
        step: the step of preprocessing.
        reason: why.
        count: how many cells, groups, states or genes it is about.
        examples: the first few of them.
    """

    step: str
    reason: str
    count: int
    examples: str = ""


@dataclass(frozen=True)
class PreprocessReport:
    """What preprocessing found and did.

    Attributes:
        cells: how many cells.
        states: how many covariate states.
        conditions: how many conditions, the control included.
        genes_in: genes of the source.
        genes_expressed: genes expressed in enough cells.
        genes_out: genes kept.
        highly_variable: genes kept because they vary.
        differentially_expressed: genes kept because they respond.
        perturbed: genes kept because a cell has them perturbed.
        target_sum: counts per cell after normalisation.
        selection_cells: how many cells gene selection looked at.
        notes: what was left out or done differently.
    """

    cells: int
    states: int
    conditions: int
    genes_in: int
    genes_expressed: int
    genes_out: int
    highly_variable: int
    differentially_expressed: int
    perturbed: int
    target_sum: float
    selection_cells: int
    notes: tuple[Note, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, for ``uns``."""
        return asdict(self) | {"notes": [asdict(note) for note in self.notes]}

    def table(self) -> pd.DataFrame:
        """One row a fact, for a notebook: ``step, genes, cells, remark``."""
        found = f"{many(self.conditions, 'condition')} in {many(self.states, 'state')}"
        rows: list[tuple[str, int | None, int | None, str]] = [
            ("source", self.genes_in, self.cells, found),
            ("expressed in enough cells", self.genes_expressed, self.cells, ""),
            ("normalised", self.genes_expressed, self.cells, f"to {self.target_sum:g} counts per cell, log1p"),
            ("highly variable", self.highly_variable, self.selection_cells, ""),
            ("differentially expressed", self.differentially_expressed, self.selection_cells, ""),
            ("perturbed", self.perturbed, self.cells, ""),
            ("kept", self.genes_out, self.cells, ""),
            *((note.step, None, None, _sentence(note)) for note in self.notes),
        ]
        table = pd.DataFrame(rows, columns=["step", "genes", "cells", "remark"])
        return table.astype({"genes": "Int64", "cells": "Int64"})


def _sentence(note: Note) -> str:
    return f"{note.reason}: {note.count:,}" + (f" ({note.examples})" if note.examples else "")


def note_of(step: str, reason: str, items: Iterable[object]) -> list[Note]:
    """A list with one note about ``items``, or an empty list where there are none."""
    listed = list(items)
    return [Note(step, reason, len(listed), some(listed, 5))] if listed else []
