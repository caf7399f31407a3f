"""Whether two files hold the same content, by type of file, whatever their bytes."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from perturbench_lamin.errors import InputError, IntegrityError, some
from perturbench_lamin.reproduction.differences import BLOCK, Difference, Names, renamed, values
from perturbench_lamin.storage.reading import reading

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
    from perturbench_lamin.storage.csv_file import read_csv

    try:
        one, other = (read_csv(path, has_header=False).table for path in (recorded, now))
    except InputError as error:  # blank or short lines: no table of ours
        yield f"other bytes ({error.what})", np.inf
        return
    yield from _tables(one, other, names)


def _parquet(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    import pandas as pd

    def read(path: Path) -> pd.DataFrame:
        with reading(path, "The table"):
            return pd.read_parquet(path)

    yield from _tables(read(recorded), read(now), names)


def _tables(one: pd.DataFrame, other: pd.DataFrame, names: Names) -> Iterator[Difference]:
    """Two tables, column by column; text that reads as a number is compared as one."""
    if one.shape != other.shape or not one.columns.equals(other.columns):
        yield f"a table of {one.shape[0]} × {one.shape[1]}, now {other.shape[0]} × {other.shape[1]}", np.inf
        return
    if not one.index.equals(other.index):
        yield "the names of the rows", np.inf
    for place, name in enumerate(one.columns):
        yield from _columns(one.iloc[:, place], other.iloc[:, place], f"column {name}", names)


def _columns(one: pd.Series, other: pd.Series, where: str, names: Names) -> Iterator[Difference]:
    import pandas as pd

    if one.dtype != other.dtype:
        yield f"{where}: {one.dtype}, now {other.dtype}", np.inf
        return
    if one.equals(other):
        return
    if one.dtype.kind in "biu":
        yield where, np.inf
        return
    numbers = [pd.to_numeric(column, errors="coerce").to_numpy(dtype=float) for column in (one, other)]
    words = np.isnan(numbers[0]) | np.isnan(numbers[1]) | _other_whole(one, other)
    texts = [column[words].astype(str) for column in (one, other)]
    texts[0] = texts[0].map(lambda text: renamed(text, names))
    if not texts[0].equals(texts[1]):
        row = int(np.flatnonzero((texts[0] != texts[1]).to_numpy())[0])
        yield f"{where}: {texts[0].iloc[row]!r}, now {texts[1].iloc[row]!r}", np.inf
        return
    different = list(values(numbers[0][~words], numbers[1][~words], where))
    written = one.dtype == object and other.dtype == object  # as text: 007 is not quite 7
    yield from different or ([(where, 0.0)] if written else [])


def _other_whole(one: pd.Series, other: pd.Series) -> np.ndarray:
    """Where both columns have whole numbers written as text, and not the same: floats would round large ones."""
    if one.dtype != object:
        return np.zeros(len(one), dtype=bool)
    pairs = zip(one, other, strict=True)
    return np.array([_is_whole(a) and _is_whole(b) and int(a) != int(b) for a, b in pairs], dtype=bool)


def _is_whole(text: object) -> bool:
    return isinstance(text, str) and WHOLE.fullmatch(text) is not None


def _json(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    def read(path: Path, names: Names) -> Any:
        with reading(path):
            return json.loads(renamed(path.read_text(encoding="utf-8"), names))

    yield from _nested(read(recorded, names), read(now, {}), "")


def _nested(one: Any, other: Any, where: str) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in sorted(one, key=str):
            yield from _nested(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _nested(left, right, f"{where}/{place}")
    elif _number(one) and _number(other):
        yield from values(np.asarray(one), np.asarray(other), where)
    elif type(one) is not type(other) or one != other:  # True is 1 to Python
        yield where or "/", np.inf


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checkpoint(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    """The tensors of model and optimiser, and what the model is built of; the rest holds paths, times and checksums."""
    parts = _load(recorded), _load(now)
    one, other = (dict(_tensors({name: part[name] for name in TENSORS if name in part} or part, "")) for part in parts)
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            yield f"{name} only {'now' if name in other else 'in the record'}", np.inf
        elif (one[name].shape, one[name].dtype) != (other[name].shape, other[name].dtype):
            yield f"{name}: {_form(one[name])}, now {_form(other[name])}", np.inf
        else:
            yield from values(_array(one[name]), _array(other[name]), name)
    built = [{name: part.get(CHECKPOINT_KEY, {}).get(name) for name in BUILT_OF} for part in parts]
    yield from _nested(built[0], built[1], "")


def _load(path: Path) -> dict[str, Any]:
    from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO

    try:
        loaded = PlainCheckpointIO().load_checkpoint(path)
    except pickle.UnpicklingError as error:
        raise IntegrityError(
            "Not a plain checkpoint: it holds objects whose loading would run code, or is none at all",
            where=path,
            fix="Restore the file that was registered.",
        ) from error
    return loaded if isinstance(loaded, dict) else {"": loaded}


def _form(tensor: Any) -> str:
    return f"shape {tuple(tensor.shape)} of {tensor.dtype}"


def _array(tensor: Any) -> np.ndarray:
    import torch

    plain = tensor.to(torch.float32) if tensor.dtype == torch.bfloat16 else tensor  # which numpy does not have
    return np.asarray(plain.numpy())


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


WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
CHECKPOINT_KEY = "perturbench_lamin"
"""As in :mod:`perturbench_lamin.models.base`, which is slow to import."""
TENSORS = ("state_dict", "optimizer_states")
BUILT_OF = ("model", "architecture", "vocabulary")
"""Of the model's block in a checkpoint; hyperparameters are of the step, and compared with it."""
IGNORED = frozenset({".html", ".png", ".svg", ".pdf"})
COMPARISONS: Mapping[str, Callable[[Path, Path, Names], Iterator[Difference]]] = {
    ".h5ad": _h5ad,
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".ckpt": _checkpoint,
    ".pt": _checkpoint,
}
