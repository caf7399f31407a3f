"""Working files that can be read by rows: counts taken out of an object, or found under another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.matrix import StoredMatrix

PLACES = ("X", "layers/counts", "raw/X")
"""Where an h5ad file can have its raw counts, in the order looked at."""

SAMPLE = 1 << 16


def write_counts(path: str | Path, counts: sp.csr_matrix, cells: pd.Index, genes: pd.Index) -> Path:
    """Write counts to an h5ad file without tables, to be read by rows afterwards.

    An RDS file can only be read whole. With the counts of each on disk, several need the memory of one.

    Args:
        path: the file, written atomically and hardly compressed: it is for this run.
        counts: CSR, cells × genes.
        cells: the cells' names.
        genes: the genes' names.
    """
    import anndata as ad

    from perturbench_lamin.storage.writing import write_h5ad

    adata = ad.AnnData(counts, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))
    with atomic_path(path) as temporary:
        write_h5ad(adata, temporary, compression="lzf")
    return Path(path)


def find_counts(path: str | Path) -> str:
    """Where an h5ad file has its raw counts: ``X``, ``layers/counts`` or ``raw/X``.

    Raises:
        InputError: none of them holds counts (whole and not negative, looked at in a sample).
        IntegrityError: the file is damaged or contradicts itself.
    """
    seen: list[str] = []
    with AnnDataFile(path) as file:
        for place in PLACES:
            if place not in file:
                continue
            example = other_value(file.matrix(place))
            if example is None:
                return place
            seen.append(f"{example!r} in {place}")
    raise InputError(
        f"No raw counts: {', '.join(seen) or 'no matrix'}",
        where=path,
        fix=f"Give a file with counts in one of {', '.join(PLACES)}; normalised values cannot be turned back.",
    )


def other_value(matrix: StoredMatrix) -> float | None:
    """A value of a stored matrix, sparse or dense, that is no count; None where a sample holds only counts."""
    values = matrix.data
    n = max(1, SAMPLE // max(1, int(np.prod(values.shape[1:]))))
    for start in (0, max(0, len(values) - n)):
        sample = values[start : start + n]
        bad = ~np.isfinite(sample) | (sample < 0) | (sample != np.floor(sample))
        if bad.any():
            return float(sample[bad][0])
    return None
