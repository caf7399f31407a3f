"""Whether two files hold the same content, by type of file, whatever their bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from perturbench_lamin.errors import some

if TYPE_CHECKING:
    import h5py
    import pandas as pd

State = Literal["identical", "equivalent", "different", "ignored"]

RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Numbers that differ by less are equivalent: another order of summation, on another machine, does that."""
BLOCK = 1 << 22
"""Values compared at a time."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison found.

    Attributes:
        state: ``identical`` content; ``equivalent``, within tolerance; ``different``; or ``ignored``, for pages and
            pictures, which hold dates and run times.
        detail: what differs, or by how much.
    """

    state: State
    detail: str = ""


Difference = tuple[str, float]
"""Where values differ, and by how much; infinite where they are not numbers that are close."""


def same_content(recorded: Path, now: Path, suffix: str) -> Verdict:
    """Compare two files.

    Args:
        recorded: the file as it was recorded.
        now: the file that was made again.
        suffix: the type of both, such as ``.h5ad``; a type without a comparison of its own is compared by bytes.
    """
    if suffix in IGNORED:
        return Verdict("ignored", "pages and pictures are not compared")
    if _same_bytes(recorded, now):
        return Verdict("identical")
    compare = COMPARISONS.get(suffix.removesuffix(".gz"))
    if compare is None:
        return Verdict("different", "other bytes")
    return _verdict(list(compare(recorded, now)))


def _verdict(differences: list[Difference]) -> Verdict:
    if not differences:
        return Verdict("identical", "other bytes, the same content")
    large = [where for where, size in differences if not np.isfinite(size)]
    if large:
        return Verdict("different", some(large, 3))
    worst = max(differences, key=lambda one: one[1])
    return Verdict("equivalent", f"within {worst[1]:.1e}, most in {worst[0]}")


def _h5ad(recorded: Path, now: Path) -> Iterator[Difference]:
    """Every group and array of both files, in pieces: memory does not grow with the number of cells."""
    import h5py

    with h5py.File(recorded) as one, h5py.File(now) as other:
        yield from _groups(one, other, "")


def _groups(one: h5py.Group, other: h5py.Group, where: str) -> Iterator[Difference]:
    import h5py

    for name in sorted({*one, *other}):
        place = f"{where}/{name}"
        if name not in one or name not in other:
            yield f"{place} only {'now' if name in other else 'in the record'}", np.inf
        elif isinstance(one[name], h5py.Group) and isinstance(other[name], h5py.Group):
            yield from _attributes(one[name], other[name], place)
            yield from _groups(one[name], other[name], place)
        elif isinstance(one[name], h5py.Dataset) and isinstance(other[name], h5py.Dataset):
            yield from _arrays(one[name], other[name], place)
        else:
            yield f"{place} is of another kind", np.inf


def _attributes(one: h5py.Group, other: h5py.Group, where: str) -> Iterator[Difference]:
    """Attributes that hold content: the shape of a sparse matrix, the order of columns, which way it is stored."""
    for name in ("shape", "column-order", "_index", "encoding-type", "ordered"):
        if not np.array_equal(one.attrs.get(name, ""), other.attrs.get(name, "")):
            yield f"{where} ({name})", np.inf


def _arrays(one: h5py.Dataset, other: h5py.Dataset, where: str) -> Iterator[Difference]:
    if one.shape != other.shape:
        yield f"{where}: shape {one.shape}, now {other.shape}", np.inf
        return
    if one.shape is None or one.shape == ():
        yield from _values(np.asarray(one[()] if one.shape is not None else ()), _scalar(other), where)
        return
    rows = max(1, BLOCK // max(1, int(np.prod(one.shape[1:]))))
    largest = 0.0
    for start in range(0, one.shape[0], rows):
        for _, size in _values(one[start : start + rows], other[start : start + rows], where):
            largest = max(largest, size)
    if largest:
        yield where, largest


def _scalar(dataset: h5py.Dataset) -> np.ndarray:
    return np.asarray(dataset[()] if dataset.shape is not None else ())


def _values(one: np.ndarray, other: np.ndarray, where: str) -> Iterator[Difference]:
    """Two arrays of one shape: the largest difference, if there is one."""
    numeric = one.dtype.kind in "biufc" and other.dtype.kind in "biufc"
    if not numeric:
        if not np.array_equal(one, other):
            yield where, np.inf
        return
    exact = (one == other) | ((one != one) & (other != other))
    if exact.all():
        return
    if not np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
        yield where, np.inf
        return
    yield where, float(np.nanmax(np.abs(one.astype(float) - other.astype(float))))


def _csv(recorded: Path, now: Path) -> Iterator[Difference]:
    import pandas as pd

    def read(path: Path) -> pd.DataFrame:
        return pd.read_csv(path, header=None, dtype=str, keep_default_na=False)

    yield from _tables(read(recorded), read(now))


def _parquet(recorded: Path, now: Path) -> Iterator[Difference]:
    import pandas as pd

    yield from _tables(pd.read_parquet(recorded), pd.read_parquet(now))


def _tables(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[Difference]:
    """Two tables, column by column; text that reads as a number is compared as one."""
    if one.shape != other.shape or not one.columns.equals(other.columns):
        yield f"a table of {one.shape[0]} × {one.shape[1]}, now {other.shape[0]} × {other.shape[1]}", np.inf
        return
    for place, name in enumerate(one.columns):
        yield from _columns(one.iloc[:, place], other.iloc[:, place], f"column {name}")


def _columns(one: pd.Series, other: pd.Series, where: str) -> Iterator[Difference]:
    import pandas as pd

    if one.equals(other):
        return
    numbers = [pd.to_numeric(column, errors="coerce").to_numpy(dtype=float) for column in (one, other)]
    words = np.isnan(numbers[0]) | np.isnan(numbers[1])
    texts = [column[words].astype(str) for column in (one, other)]
    if not texts[0].equals(texts[1]):
        row = int(np.flatnonzero((texts[0] != texts[1]).to_numpy())[0])
        yield f"{where}: {texts[0].iloc[row]!r}, now {texts[1].iloc[row]!r}", np.inf
        return
    yield from _values(numbers[0][~words], numbers[1][~words], where)


def _json(recorded: Path, now: Path) -> Iterator[Difference]:
    yield from _nested(json.loads(recorded.read_text()), json.loads(now.read_text()), "")


def _nested(one: Any, other: Any, where: str) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in sorted(one, key=str):
            yield from _nested(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _nested(left, right, f"{where}/{place}")
    elif _number(one) and _number(other):
        yield from _values(np.asarray(one), np.asarray(other), where)
    elif one != other:
        yield where or "/", np.inf


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checkpoint(recorded: Path, now: Path) -> Iterator[Difference]:
    """The tensors; what a checkpoint says of its run and of its time is not content."""
    import torch

    one, other = (_tensors(torch.load(path, map_location="cpu", weights_only=True), "") for path in (recorded, now))
    left, right = dict(one), dict(other)
    for name in sorted({*left, *right}):
        if name not in left or name not in right:
            yield f"{name} only {'now' if name in right else 'in the record'}", np.inf
        elif left[name].shape != right[name].shape:
            yield f"{name}: shape {tuple(left[name].shape)}, now {tuple(right[name].shape)}", np.inf
        else:
            yield from _values(left[name].numpy(), right[name].numpy(), name)


def _tensors(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield where, value.detach()
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _tensors(one, f"{where}/{key}")
    elif isinstance(value, list | tuple):
        for place, one in enumerate(value):
            yield from _tensors(one, f"{where}/{place}")


def _same_bytes(recorded: Path, now: Path) -> bool:
    if recorded.stat().st_size != now.stat().st_size:
        return False
    with recorded.open("rb") as one, now.open("rb") as other:
        while piece := one.read(BLOCK):
            if piece != other.read(BLOCK):
                return False
    return True


IGNORED = frozenset({".html", ".png", ".svg", ".pdf"})
COMPARISONS: Mapping[str, Callable[[Path, Path], Iterator[Difference]]] = {
    ".h5ad": _h5ad,
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".ckpt": _checkpoint,
    ".pt": _checkpoint,
}
