"""The cells that only one file has, counted by condition and covariates."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.columns import MISSING
from perturbench_lamin.comparison.h5ad_file import H5adFile
from perturbench_lamin.contracts import UNS_KEY

CONDITIONS = ("condition", "perturbation", "gene", "target_gene", "guide_identity")
COVARIATES = ("cell_type", "celltype", "cell_line", "treatment", "donor", "batch")
"""What a file that does not say so itself calls its conditions and covariates: the first of the former, and all of the
latter that it has."""


def grouping(file: H5adFile) -> list[str]:
    """The columns of obs that hold conditions and covariates: those that the file names itself, or well-known ones."""
    block = f"uns/{UNS_KEY}"
    if f"{block}/perturbation_key" in file.file and f"{block}/covariate_keys" in file.file:
        said = (str(file.file.element(f"{block}/{name}")) for name in ("perturbation_key", "covariate_keys"))
        condition, covariates = next(said), json.loads(next(said))
        return [name for name in (condition, *covariates) if name in file.obs.columns]
    own = {name.lower(): name for name in file.obs.columns}
    found = [own[name] for name in CONDITIONS if name in own][:1]
    return found + [own[name] for name in COVARIATES if name in own]


def count_groups(file: H5adFile, rows: np.ndarray) -> pd.DataFrame:
    """How many of the given cells each condition and covariate state has, and how many cells it has at all.

    Args:
        file: the file.
        rows: row numbers.

    Returns:
        A column for each of :func:`grouping`, ``cells`` (above 0) and ``of``; most cells first, then by value. No row
        where the file has none of these columns.
    """
    columns = grouping(file)
    if not columns:
        return pd.DataFrame({"cells": [], "of": []})
    table = pd.DataFrame({name: _texts(file.obs.column(name)) for name in columns})
    table = table.assign(cells=np.isin(np.arange(len(table)), rows), of=1)
    counts = table.groupby(columns, sort=True, as_index=False)[["cells", "of"]].sum()
    return counts[counts["cells"] > 0].sort_values("cells", ascending=False, kind="stable").reset_index(drop=True)


def in_words(groups: pd.DataFrame, most: int) -> str:
    """The numbers of cells by each column; the most frequent values, and how many more there are."""
    columns = [name for name in groups.columns if name not in ("cells", "of")]
    return "; ".join(f"by {name}: {_values(groups, name, most)}" for name in columns)


def _values(groups: pd.DataFrame, column: str, most: int) -> str:
    counts = groups.groupby(column)["cells"].sum().sort_values(ascending=False, kind="stable")
    shown = ", ".join(f"{value} {cells:,}" for value, cells in counts.iloc[:most].items())
    left = counts.iloc[most:]
    return shown + (f" … and {len(left):,} more with {int(left.sum()):,} cells" if len(left) else "")


def told(groups: pd.DataFrame) -> list[dict[str, Any]]:
    """As plain JSON values."""
    return [dict(zip(groups.columns, row, strict=True)) for row in groups.astype(object).to_numpy().tolist()]


def _texts(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), MISSING).map(str)
