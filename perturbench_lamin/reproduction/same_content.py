"""Whether two files hold the same content, by type of file, whatever their bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from perturbench_lamin.errors import some
from perturbench_lamin.reproduction.differences import BLOCK, Difference, Names, renamed, values

if TYPE_CHECKING:
    import pandas as pd

State = Literal["identical", "equivalent", "different", "ignored"]


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


def same_content(recorded: Path, now: Path, suffix: str, names: Names | None = None) -> Verdict:
    """Compare two files.

    Args:
        recorded: the file as it was recorded.
        now: the file that was made again.
        suffix: the type of both, such as ``.h5ad``; a type without a comparison of its own is compared by bytes.
        names: uids and hashes in the recorded file, and those that must stand in their place now.
    """
    if suffix in IGNORED:
        return Verdict("ignored", "pages and pictures are not compared")
    if _same_bytes(recorded, now):
        return Verdict("identical")
    compare = COMPARISONS.get(suffix.removesuffix(".gz"))
    if compare is None:
        return Verdict("different", "other bytes")
    return _verdict(list(compare(recorded, now, names or {})))


def _verdict(differences: list[Difference]) -> Verdict:
    if not differences:
        return Verdict("identical", "other bytes, the same content")
    large = [where for where, size in differences if not np.isfinite(size)]
    if large:
        return Verdict("different", some(large, 3))
    worst = max(differences, key=lambda one: one[1])
    return Verdict("equivalent", f"within {worst[1]:.1e}, most in {worst[0]}")


def _h5ad(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    from perturbench_lamin.reproduction.same_h5ad import compare_h5ad

    yield from compare_h5ad(recorded, now, names)


def _csv(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    import pandas as pd

    def read(path: Path) -> pd.DataFrame:
        return pd.read_csv(path, header=None, dtype=str, keep_default_na=False)

    yield from _tables(read(recorded), read(now), names)


def _parquet(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    import pandas as pd

    yield from _tables(pd.read_parquet(recorded), pd.read_parquet(now), names)


def _tables(one: pd.DataFrame, other: pd.DataFrame, names: Names) -> Iterator[Difference]:
    """Two tables, column by column; text that reads as a number is compared as one."""
    if one.shape != other.shape or not one.columns.equals(other.columns):
        yield f"a table of {one.shape[0]} × {one.shape[1]}, now {other.shape[0]} × {other.shape[1]}", np.inf
        return
    for place, name in enumerate(one.columns):
        yield from _columns(one.iloc[:, place], other.iloc[:, place], f"column {name}", names)


def _columns(one: pd.Series, other: pd.Series, where: str, names: Names) -> Iterator[Difference]:
    import pandas as pd

    if one.equals(other):
        return
    numbers = [pd.to_numeric(column, errors="coerce").to_numpy(dtype=float) for column in (one, other)]
    words = np.isnan(numbers[0]) | np.isnan(numbers[1])
    texts = [column[words].astype(str) for column in (one, other)]
    texts[0] = texts[0].map(lambda text: renamed(text, names))
    if not texts[0].equals(texts[1]):
        row = int(np.flatnonzero((texts[0] != texts[1]).to_numpy())[0])
        yield f"{where}: {texts[0].iloc[row]!r}, now {texts[1].iloc[row]!r}", np.inf
        return
    different = list(values(numbers[0][~words], numbers[1][~words], where))
    written = one.dtype == object and other.dtype == object  # as text: 007 is not quite 7
    yield from different or ([(where, 0.0)] if written else [])


def _json(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    yield from _nested(json.loads(renamed(recorded.read_text(), names)), json.loads(now.read_text()), "")


def _nested(one: Any, other: Any, where: str) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in sorted(one, key=str):
            yield from _nested(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _nested(left, right, f"{where}/{place}")
    elif _number(one) and _number(other):
        yield from values(np.asarray(one), np.asarray(other), where)
    elif one != other:
        yield where or "/", np.inf


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checkpoint(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    """The model's and the optimiser's tensors; callbacks and loops hold paths and times, which are not content."""
    one, other = _tensors_of(recorded), _tensors_of(now)
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            yield f"{name} only {'now' if name in other else 'in the record'}", np.inf
        elif one[name].shape != other[name].shape:
            yield f"{name}: shape {one[name].shape}, now {other[name].shape}", np.inf
        else:
            yield from values(one[name], other[name], name)


def _tensors_of(path: Path) -> dict[str, np.ndarray]:
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    lightning = {name: loaded[name] for name in ("state_dict", "optimizer_states") if name in loaded}
    return {name: tensor.to(torch.float64).numpy() for name, tensor in _tensors(lightning or loaded, "")}


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
COMPARISONS: Mapping[str, Callable[[Path, Path, Names], Iterator[Difference]]] = {
    ".h5ad": _h5ad,
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".ckpt": _checkpoint,
    ".pt": _checkpoint,
}
