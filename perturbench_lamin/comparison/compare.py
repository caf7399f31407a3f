"""Compare two files of cells by content."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from perturbench_lamin.comparison.axes import axis_part
from perturbench_lamin.comparison.elements import form_part, group_part, layers_part, others_part, raw_part, x_part
from perturbench_lamin.comparison.file_pair import FilePair
from perturbench_lamin.comparison.h5ad_file import H5adFile
from perturbench_lamin.comparison.matching import make_match
from perturbench_lamin.comparison.matrix_parts import counts_part
from perturbench_lamin.comparison.result import Comparison, Part, Verdict, worst
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
        A verdict for each part and for the whole; two files without a common cell or gene are different. Of files
        that are the same byte for byte, cells and genes are counted and nothing else is looked at.

    Raises:
        InputError: no such file, a split file of other cells, an unknown part.
        IntegrityError: a file is not an h5ad file, or is corrupt.
    """
    for name in config.ignore:
        if name not in IGNORABLE:
            raise InputError(f"No part {name!r} to ignore", where="ignore", fix=nearest(name, IGNORABLE))
    with H5adFile(a) as first, H5adFile(b) as second, about(a, b):
        both = FilePair(first, second, config, progress)
        if not (splits_a or splits_b) and _same_bytes(first.path, second.path):
            parts = list(_identical(both))
        else:
            parts = list(_finished(both, list(_parts(both, splits_a, splits_b))))
        return Comparison(first.facts(), second.facts(), tuple(parts), asdict(config))


def _parts(both: FilePair, splits_a: SplitFiles, splits_b: SplitFiles) -> Iterator[Part]:
    """All parts, in the order in which a reader wants them."""
    rows, columns = (both.cells.a, both.cells.b), (both.genes.a, both.genes.b)
    yield axis_part("cells", both.a.obs, both.b.obs, both.cells, both)
    yield axis_part("genes", both.a.var, both.b.var, both.genes, both)
    wanted = "splits" not in both.config.ignore
    splits = [
        read_splits(file.obs, files) if wanted else ({}, []) for file, files in ((both.a, splits_a), (both.b, splits_b))
    ]
    without = (splits[0][1], splits[1][1])
    makers: dict[str, Callable[[], Part | None]] = {
        "counts": lambda: counts_part(both),
        "X": lambda: x_part(both),
        "layers": lambda: layers_part(both),
        "raw": lambda: raw_part(both),
        **{group: partial(group_part, both, group) for group in ("obsm", "varm", "obsp", "varp")},
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


def _finished(both: FilePair, parts: list[Part]) -> Iterator[Part]:
    """The parts, and what can be said only when all are known."""
    yield from parts
    if both.config.ignore:
        yield Part("ignored", senses=(f"without {', '.join(both.config.ignore)}",), details={"compared": False})
    elif worst([part.verdict for part in parts]) is Verdict.IDENTICAL:
        form = form_part(both)
        if form is not None:
            yield form


def _same_bytes(a: Path, b: Path) -> bool:
    return a.stat().st_size == b.stat().st_size and filecmp.cmp(a, b, shallow=False)


def _identical(both: FilePair) -> Iterator[Part]:
    """The parts of two files of the same bytes: the first is read, lest damage is called the same, and not compared."""
    both.a.read_through()
    for name, table in (("cells", both.a.obs), ("genes", both.a.var)):
        everything = np.arange(len(table))
        yield axis_part(name, table, table, make_match(everything, everything, len(table), len(table), "name"), both)
    yield Part("bytes", details={"bytes": both.a.path.stat().st_size})
