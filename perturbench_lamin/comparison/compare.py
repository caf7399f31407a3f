"""Compare two files of cells by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from perturbench_lamin.comparison.axes import cells_part, genes_part
from perturbench_lamin.comparison.file_pair import FilePair
from perturbench_lamin.comparison.h5ad_file import H5adFile
from perturbench_lamin.comparison.matrix_parts import arrays_part, counts_part, layers_part, matrix_part, others_part
from perturbench_lamin.comparison.result import Comparison, Part
from perturbench_lamin.comparison.settings import IGNORABLE, CompareConfig
from perturbench_lamin.comparison.splits import SplitFiles, compare_splits, read_splits
from perturbench_lamin.comparison.tables import compare_tables
from perturbench_lamin.comparison.unstructured import compare_uns
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.storage.reading import about

DEFAULT = CompareConfig()


def compare_files(
    a: str | Path,
    b: str | Path,
    config: CompareConfig = DEFAULT,
    *,
    splits_a: SplitFiles = (),
    splits_b: SplitFiles = (),
    progress: bool = False,
) -> Comparison:
    """Compare two h5ad files by content, whatever their bytes, order, compression, dtype or encoding.

    Memory does not grow with the matrices: names and single columns of both files are held, and blocks of rows.
    Where cells (or a CSC matrix) come in another order, a temporary file in the folder that TMPDIR names takes up to
    16 bytes a stored value.

    Args:
        a: the first file.
        b: the second.
        config: tolerances and options.
        splits_a: split files of the first file's cells, each named for its task; or name → file.
        splits_b: of the second's.
        progress: show a progress bar for each matrix.

    Returns:
        A verdict for each part and for the whole; two files without a common cell or gene are different.

    Raises:
        InputError: no such file, names that occur more than once, a split file of other cells, an unknown part.
        IntegrityError: a file is not an h5ad file, or is corrupt.
    """
    for name in config.ignore:
        if name not in IGNORABLE:
            raise InputError(f"No part {name!r} to ignore", where="ignore", fix=nearest(name, IGNORABLE))
    with H5adFile(a) as first, H5adFile(b) as second, about(a, b):
        parts = tuple(_parts(FilePair(first, second, config, progress), splits_a, splits_b))
        return Comparison(first.facts(), second.facts(), parts, asdict(config))


def _parts(both: FilePair, splits_a: SplitFiles, splits_b: SplitFiles) -> Iterator[Part]:
    """All parts, in the order in which a reader wants them."""
    rows, columns = (both.cells.a, both.cells.b), (both.genes.a, both.genes.b)
    yield cells_part(both.a.obs, both.b.obs, both.cells, both.config)
    yield genes_part(both.a.var, both.b.var, both.genes, both.config)
    wanted = "splits" not in both.config.ignore
    splits = [
        read_splits(file.obs, files) if wanted else ({}, []) for file, files in ((both.a, splits_a), (both.b, splits_b))
    ]
    without = (splits[0][1], splits[1][1])
    makers: dict[str, Callable[[], Part | None]] = {
        "counts": lambda: counts_part(both),
        "X": lambda: matrix_part(both, "X", "X", "X", scaled=both.counts_places != ("X", "X")),
        "layers": lambda: layers_part(both),
        "obsm": lambda: arrays_part(both),
        "obs": lambda: compare_tables("obs", both.a.obs, both.b.obs, rows, both.config, without=without),
        "var": lambda: compare_tables("var", both.a.var, both.b.var, columns, both.config),
        "splits": lambda: (
            compare_splits(splits[0][0], splits[1][0], rows, both.a.obs.names, both.config)
            if splits[0][0] or splits[1][0]
            else None
        ),
        "uns": lambda: compare_uns(both.a.uns(), both.b.uns(), both.config),
        "others": lambda: others_part(both),
    }
    for name, make in makers.items():
        part = None if name in both.config.ignore else make()
        if part is not None:
            yield part
