"""The record of a curation: what was there after each step."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from perturbench_lamin.errors import InputError


@dataclass
class CurationLog:
    """A before/after table that a notebook fills step by step and shows at the end.

    >>> log = CurationLog()
    >>> log.add("deposit", cells=111_445, genes=33_694, conditions=237)
    >>> log.add("kept cell lines", cells=100_000)
    >>> log.table()["cells removed"].tolist()
    [0, 11445]
    """

    rows: list[tuple[str, int, int, int]] = field(default_factory=list)

    def add(
        self, step: str, *, cells: int | None = None, genes: int | None = None, conditions: int | None = None
    ) -> None:
        """Record a step; what is not given is as it was before.

        Raises:
            InputError: the first step does not say everything.
        """
        given = (cells, genes, conditions)
        before = self.rows[-1][1:] if self.rows else (None, None, None)
        now = [before[i] if value is None else int(value) for i, value in enumerate(given)]
        if any(value is None for value in now):
            raise InputError("The first step must give cells, genes and conditions", where=step)
        self.rows.append((step, *now))  # type: ignore[arg-type]

    def table(self) -> pd.DataFrame:
        """``step, cells, genes, conditions`` and, for each, how many the step removed."""
        table = pd.DataFrame(self.rows, columns=["step", "cells", "genes", "conditions"])
        for name in ("cells", "genes", "conditions"):
            table[f"{name} removed"] = -table[name].diff().fillna(0).astype("int64")
        return table
