"""Ways in which pipelines change cell names, and how to take them back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

SEPARATORS = "_:|#/."


def without_common_ends(names: pd.Index) -> pd.Index:
    """The names without the beginning and the end that all of them share, cut at a separator or a hyphen.

    Cutting there keeps what names share by chance, such as the first letter of a few barcodes.
    """
    texts = [str(name) for name in names]
    start, stop = _common_start(texts), _common_start([text[::-1] for text in texts])
    return pd.Index([text[start : len(text) - stop] for text in texts], dtype=object)


def _common_start(texts: list[str]) -> int:
    """The length of the beginning that all texts share, up to its last separator or hyphen."""
    low, high = min(texts, default=""), max(texts, default="")
    same = next((k for k, (x, y) in enumerate(zip(low, high, strict=False)) if x != y), min(len(low), len(high)))
    found = re.match(rf"(?s).*[{SEPARATORS}-]", low[:same])
    return found.end() if found else 0


def _without(names: pd.Index, *, pattern: str) -> pd.Index:
    expression = re.compile(pattern)
    return pd.Index([expression.sub("", name) for name in names], dtype=object)


def _barcodes(names: pd.Index) -> pd.Index:
    expression = re.compile(r"[ACGTN]{8,}")
    return pd.Index([max(expression.findall(name), key=len, default=name) for name in names], dtype=object)


CHANGES: Mapping[str, Callable[[pd.Index], pd.Index]] = {
    "without common ends": without_common_ends,
    "without the last -N": partial(_without, pattern=r"-\d+$"),
    "without the first prefix": partial(_without, pattern=rf"^[^{SEPARATORS}]*[{SEPARATORS}]"),
    "without all -N at the end": partial(_without, pattern=r"(-\d+)+$"),
    "without the last suffix": partial(_without, pattern=rf"[{SEPARATORS}][^{SEPARATORS}]*$"),
    "without prefix and -N": partial(_without, pattern=rf"^.*[{SEPARATORS}]|(-\d+)+$"),
    "without suffix and -N": partial(_without, pattern=rf"[{SEPARATORS}].*$|(-\d+)+$"),
    "barcode alone": _barcodes,
}
"""How a name is shortened, mildest first."""
