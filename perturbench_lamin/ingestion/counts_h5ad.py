"""Working files that can be read by rows: counts taken out of an object, or found under another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path

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

    from perturbench_lamin.hdf5 import write_h5ad

    adata = ad.AnnData(counts, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))
    with atomic_path(path) as temporary:
        write_h5ad(adata, temporary, compression="lzf")
    return Path(path)


def find_counts(path: str | Path) -> str:
    """Where an h5ad file has its raw counts: ``X``, ``layers/counts`` or ``raw/X``.

    Raises:
        InputError: none of them holds counts (whole and not negative, looked at in a sample).
    """
    import h5py

    seen: list[str] = []
    with h5py.File(path, "r") as file:
        for place in PLACES:
            if place not in file:
                continue
            example = other_value(file[place])
            if example is None:
                return place
            seen.append(f"{example!r} in {place}")
    raise InputError(
        f"No raw counts: {', '.join(seen) or 'no matrix'}",
        where=path,
        fix=f"Give a file with counts in one of {', '.join(PLACES)}; normalised values cannot be turned back.",
    )


def with_raw_counts(path: str | Path, link: str | Path) -> Path:
    """An h5ad file whose ``X`` is another's ``raw/X``: a file of links, which copies and loads nothing.

    Args:
        path: a file with ``raw/X`` and ``raw/var``.
        link: the file to write; it needs the other one, where that is.
    """
    import h5py

    from perturbench_lamin.hdf5 import NewHDF5

    target = str(Path(path).resolve())
    with atomic_path(link) as temporary, NewHDF5(temporary) as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name, there in (("X", "raw/X"), ("obs", "obs"), ("var", "raw/var")):
            file[name] = h5py.ExternalLink(target, there)
    return Path(link)


def other_value(matrix: object) -> float | None:
    """A value of a stored matrix, sparse or dense, that is no count; None where a sample holds only counts."""
    import h5py

    values = matrix if isinstance(matrix, h5py.Dataset) else matrix["data"]  # type: ignore[index]
    per_row = int(np.prod(values.shape[1:])) or 1
    n = max(1, SAMPLE // per_row)
    for start in (0, max(0, len(values) - n)):
        sample = np.asarray(values[start : start + n])
        bad = ~np.isfinite(sample) | (sample < 0) | (sample != np.floor(sample))
        if bad.any():
            return float(sample[bad][0])
    return None
