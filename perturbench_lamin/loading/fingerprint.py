"""Which data a model has seen, in a few words that are the same for the same data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import numpy as np

from perturbench_lamin.loading.checksum import Checksum, checksum
from perturbench_lamin.loading.curated import CuratedData

RUNS, RUN = 16, 64
"""How many runs of how many cells a sample of the expression has."""


def fingerprint(data: CuratedData) -> dict[str, str]:
    """Words about genes, cells and expression of a curated file.

    ``expression`` is of all values and their places; ``sample`` of the values of 1,024 cells, whatever the order
    of the genes: what can be had without reading the whole matrix.
    """
    cells, genes = data.X.shape
    return {
        **table_fingerprint(data),
        "expression": f"{cells} x {genes}, {data.X.nnz} values, {checksum(data.X):016x}",
        "sample": sample_fingerprint([data.X[rows].data for rows in sample_rows(cells)]),
    }


def table_fingerprint(data: CuratedData) -> dict[str, str]:
    """The part of :func:`fingerprint` that needs no expression."""
    columns = data.obs[[data.info.keys.perturbation, *data.info.keys.covariates]].astype(str)
    return {
        "genes": digest(data.genes),
        "cells": digest([*data.obs.index.astype(str), *columns.to_numpy().ravel()]),
        **embedding_fingerprint(data),
    }


def embedding_fingerprint(data: CuratedData) -> dict[str, str]:
    """The part of :func:`fingerprint` about the cells' embedding; empty without one."""
    if data.embedding is None:
        return {}
    return {"embedding": f"{data.embedding_name} {hashlib.sha256(data.embedding.tobytes()).hexdigest()}"}


def sample_rows(cells: int) -> list[np.ndarray]:
    """The cells of the sample: evenly spaced runs."""
    starts = np.unique(np.linspace(0, max(cells - RUN, 0), RUNS).astype(np.int64))
    return [np.arange(start, min(start + RUN, cells)) for start in starts]


def sample_fingerprint(values: Iterable[np.ndarray]) -> str:
    """Of the sample's stored values, run by run."""
    total = Checksum()
    for part in values:
        total.add(np.zeros(len(part), np.int32), part.astype(np.float32, copy=False))
    return f"{total.bits:016x}"


def digest(words: Sequence[str]) -> str:
    """A checksum of a list of words."""
    return hashlib.sha256(json.dumps(list(words)).encode()).hexdigest()
