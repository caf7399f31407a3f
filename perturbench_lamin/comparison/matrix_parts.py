"""A matrix of each of two files as a part of a comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.explain import explain, sentence, told
from perturbench_lamin.comparison.file_pair import FilePair
from perturbench_lamin.comparison.h5ad_file import NUMBERED, StoredMatrix, axes, is_whole
from perturbench_lamin.comparison.matrices import HISTOGRAM, MatrixComparison, compare_matrices
from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.tables import one_sided

SENSES = {
    "tolerance": "within tolerance",
    "scale": "up to one scale of {scale:.6g}",
    "cell scale": "up to a scale of each cell",
    "log1p of a cell scale": "log1p of the same expression up to a scale of each cell",
}
TOP_GENES = 20
WORDS = {"obs": "cells", "var": "genes", "raw/var": "genes of raw", NUMBERED: "columns"}
"""What the rows and columns of a matrix are called."""


def matrix_part(pair: FilePair, name: str, place_a: str, place_b: str, *, scaled: bool = True) -> Part:
    """Two matrices compared on the common cells and genes.

    Args:
        pair: the files.
        name: of the part.
        place_a: where the matrix is in the first file.
        place_b: where in the second.
        scaled: whether a matrix that is the other up to a scale is equivalent; counts are not.
    """
    a, b, pairing = pair.a.matrix(place_a), pair.b.matrix(place_b), pair.pairing(place_a, place_b)
    if not (len(pairing.rows_a) and len(pairing.columns_a)):
        empty = a.shape == b.shape and 0 in a.shape
        uncompared = () if empty else (f"{name}: no cell or no gene in common",)
        return Part(name, tuple(_forms(name, a, b)), details={"compared": empty}, uncompared=uncompared)
    whole = all(np.issubdtype(np.dtype(matrix.dtype), np.integer) or is_whole(matrix) for matrix in (a, b))
    config = replace(pair.config, rtol=0.0, atol=0.0) if whole else pair.config  # whole numbers are equal or not
    found = compare_matrices(a, b, pairing, config, label=f"comparing {name}", progress=pair.progress)
    senses = [*_forms(name, a, b), *([] if place_a == place_b else [f"{name} stored in {place_a} / {place_b}"])]
    sense = SENSES.get(found.relation.kind, "").format(scale=found.scale) if found.inexact else ""
    axes_of = axes(place_a)
    differences = _differences(name, found, sense, axes_of)
    if found.relation.kind in ("equal", "tolerance") or scaled:
        senses += [f"{name} {sense}"] if sense else []
    elif sense:
        differences = [f"{name} are the same only {sense}", *differences]
    explained = _explained(pair, found, axes_of[0], pairing.rows_a)
    notes = [f"{found.nan_in_both:,} values are NaN in both, and agree"] if found.nan_in_both else []
    notes += [f"Of the {WORDS[axes_of[0]]} whose {name} differ: {sentence(explained, 'them')}"] if explained else []
    details = {
        "compared": True,
        "places": [place_a, place_b],
        "axes": [WORDS[axis] for axis in axes_of],
        **_details(found, a.var_names[pairing.columns_a], named=axes_of[1] != NUMBERED),
        "explanations": told(explained),
    }
    return Part(name, tuple(senses), tuple(differences), tuple(notes), details)


def counts_part(pair: FilePair) -> Part | None:
    """The counts of both files, wherever they are; nothing where neither has any, or X (or raw) is them in both."""
    place_a, place_b = pair.counts_places
    if place_a == place_b and place_a in (None, "X", "raw/X"):
        return None
    if place_a is None or place_b is None:
        only_a, only_b = ([place] if place else [] for place in (place_a, place_b))
        sides = one_sided("counts", only_a, only_b, pair.config)
        return Part("counts", senses=sides["senses"], differences=sides["differences"], details={"compared": False})
    return matrix_part(pair, "counts", place_a, place_b, scaled=False)


def _forms(name: str, a: StoredMatrix, b: StoredMatrix) -> list[str]:
    """Senses of how the matrices are stored."""
    senses = [] if a.encoding == b.encoding else [f"{name} encoding ({a.encoding} / {b.encoding})"]
    return senses + ([] if a.dtype == b.dtype else [f"{name} dtype ({a.dtype} / {b.dtype})"])


def _differences(name: str, found: MatrixComparison, sense: str, axes_of: tuple[str, str]) -> list[str]:
    if not found.unlike_values:
        return []
    first, cells = found.first.iloc[0], int(found.relation.unlike.sum())
    under = f" ({sense} otherwise)" if sense else ""
    return [
        f"{found.unlike_values:,} of {found.values:,} values of {name} differ{under}, in {cells:,} of "
        f"{len(found.relation.unlike):,} {WORDS[axes_of[0]]} and {int((found.unlike_by_gene > 0).sum()):,} "
        f"{WORDS[axes_of[1]]}: first "
        f"{first['cell']}, {first['gene']}: {first['a']:g} → {first['b']:g}"
    ]


def _explained(pair: FilePair, found: MatrixComparison, axis: str, rows: np.ndarray) -> list[Any]:
    if not found.unlike_values:
        return []
    return explain(pair.a.table(axis), rows, found.relation.unlike, pair.config.examples)


def _details(found: MatrixComparison, names: pd.Index, *, named: bool) -> dict[str, Any]:
    relation = found.relation
    details: dict[str, Any] = {
        "relation": relation.kind,
        "values": found.values,
        "unlike_values": found.unlike_values,
        "unlike_cells": int(relation.unlike.sum()) if found.unlike_values else 0,
        "unlike_genes": int((found.unlike_by_gene > 0).sum()),
        "nan_in_both": found.nan_in_both,
        "scale": found.scale,
        "scale_quantiles": _quantiles(relation.scale[~relation.unlike]),
        "first": found.first.to_dict("records"),
        "largest": found.largest.to_dict("records"),
        "histogram": {"edges": HISTOGRAM.tolist(), "values": found.histogram.tolist()},
    }
    top = np.argsort(-found.unlike_by_gene, kind="stable")[:TOP_GENES]
    if named:
        details["genes"] = {str(names[k]): int(found.unlike_by_gene[k]) for k in top if found.unlike_by_gene[k]}
    return details


def _quantiles(scale: np.ndarray) -> list[float]:
    return np.quantile(scale, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(scale) else []
