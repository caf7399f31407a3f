"""The matrices of two files as parts of a comparison: counts, X, other layers, arrays of obsm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from perturbench_lamin.comparison.explain import explain, sentence, told
from perturbench_lamin.comparison.file_pair import FilePair
from perturbench_lamin.comparison.h5ad_file import StoredMatrix
from perturbench_lamin.comparison.matrices import HISTOGRAM, MatrixComparison, compare_matrices
from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.tables import one_sided
from perturbench_lamin.contracts import COUNTS_LAYER

SENSES = {
    "tolerance": "within tolerance",
    "scale": "up to one scale of {scale:.6g}",
    "cell scale": "up to a scale of each cell",
    "log1p of a cell scale": "log1p of the same expression up to a scale of each cell",
}
TOP_GENES = 20
UNCOMPARED = ("obsp", "varm", "varp")


def matrix_part(pair: FilePair, name: str, place_a: str, place_b: str, *, scaled: bool = True) -> Part:
    """Two matrices compared on the common cells and genes.

    Args:
        pair: the files.
        name: of the part.
        place_a: where the matrix is in the first file.
        place_b: where in the second.
        scaled: whether a matrix that is the other up to a scale is equivalent; counts are not.
    """
    if not (len(pair.cells.a) and (len(pair.genes.a) or place_a.startswith("obsm/"))):
        return Part(name, notes=("Not compared: no cell or no gene in common",), details={"compared": False})
    a, b = pair.a.matrix(place_a), pair.b.matrix(place_b)
    whole = all(np.issubdtype(np.dtype(matrix.dtype), np.integer) for matrix in (a, b))
    config = replace(pair.config, rtol=0.0, atol=0.0) if whole else pair.config  # whole numbers are equal or not
    found = compare_matrices(
        a, b, pair.pairing(place_a, place_b), config, label=f"comparing {name}", progress=pair.progress
    )
    senses = [*_forms(name, a, b), *([] if place_a == place_b else [f"{name} stored in {place_a} / {place_b}"])]
    sense = SENSES.get(found.relation.kind, "").format(scale=found.scale) if found.inexact else ""
    differences = _differences(name, found, sense)
    if found.relation.kind in ("equal", "tolerance") or scaled:
        senses += [f"{name} {sense}"] if sense else []
    elif sense:
        differences = [f"{name} are the same only {sense}", *differences]
    explained = _explained(pair, found)
    notes = [f"{found.nan_in_both:,} values are NaN in both, and agree"] if found.nan_in_both else []
    notes += [f"Of the cells whose {name} differ: {sentence(explained, 'them')}"] if explained else []
    details = {"compared": True, "places": [place_a, place_b], **_details(found, pair), "explanations": told(explained)}
    return Part(name, tuple(senses), tuple(differences), tuple(notes), details)


def counts_part(pair: FilePair) -> Part | None:
    """The counts of both files, wherever they are; nothing where neither has any, or X itself is them in both."""
    place_a, place_b = pair.counts_places
    if place_a == place_b == "X" or (place_a is None and place_b is None):
        return None
    if place_a is None or place_b is None:
        only_a, only_b = ([place] if place else [] for place in (place_a, place_b))
        sides = one_sided("counts", only_a, only_b, pair.config)
        return Part("counts", senses=sides["senses"], differences=sides["differences"], details={"compared": False})
    return matrix_part(pair, "counts", place_a, place_b, scaled=False)


def others_part(pair: FilePair) -> Part | None:
    """What is in a file and not compared; nothing where there is nothing."""
    places = (*UNCOMPARED, *(() if "raw/X" in pair.counts_places else ("raw",)))
    notes = [
        f"{place} is in {' and '.join(sides)}, and not compared"
        for place in places
        if (sides := [side for side, file in (("A", pair.a), ("B", pair.b)) if file.file.names(place)])
    ]
    return Part("others", notes=tuple(notes), details={"compared": False}) if notes else None


def layers_part(pair: FilePair) -> Part | None:
    """The layers other than the counts."""
    left, right = ([name for name in file.layers if name != COUNTS_LAYER] for file in (pair.a, pair.b))
    return _several(pair, "layers", left, right)


def arrays_part(pair: FilePair) -> Part | None:
    """The arrays with a row a cell (obsm). Tables among them are named, but not compared."""
    return _several(pair, "obsm", pair.a.obsm, pair.b.obsm)


def _several(pair: FilePair, group: str, left: list[str], right: list[str]) -> Part | None:
    if not left and not right:
        return None
    common = [name for name in left if name in right]
    fit = [name for name in common if _comparable(pair, f"{group}/{name}")]
    parts = [matrix_part(pair, f"{group}/{name}", f"{group}/{name}", f"{group}/{name}") for name in fit]
    shapes = [
        f"{group}/{name} has another form" for name in common if name not in fit and not _tables(pair, group, name)
    ]
    tables = tuple(f"{group}/{name} is a table: not compared" for name in common if _tables(pair, group, name))
    only_a, only_b = ([name for name in one if name not in other] for one, other in ((left, right), (right, left)))
    sides = one_sided(group, only_a, only_b, pair.config)
    return Part(
        group,
        senses=(*(sense for part in parts for sense in part.senses), *sides["senses"]),
        differences=(*(text for part in parts for text in part.differences), *shapes, *sides["differences"]),
        notes=(*tables, *(note for part in parts for note in part.notes)),
        details={part.name: dict(part.details) for part in parts} | {"only_a": only_a, "only_b": only_b},
    )


def _comparable(pair: FilePair, place: str) -> bool:
    """Whether both are matrices, and of the same number of columns where columns have no names."""
    if not all(file.file.is_matrix(place) for file in (pair.a, pair.b)):
        return False
    return place.startswith("layers/") or pair.a.matrix(place).shape[1] == pair.b.matrix(place).shape[1]


def _tables(pair: FilePair, group: str, name: str) -> bool:
    return any(file.file.kind(f"{group}/{name}") == "dataframe" for file in (pair.a, pair.b))


def _forms(name: str, a: StoredMatrix, b: StoredMatrix) -> list[str]:
    """Senses of how the matrices are stored."""
    senses = [] if a.encoding == b.encoding else [f"{name} encoding ({a.encoding} / {b.encoding})"]
    return senses + ([] if a.dtype == b.dtype else [f"{name} dtype ({a.dtype} / {b.dtype})"])


def _differences(name: str, found: MatrixComparison, sense: str) -> list[str]:
    if not found.unlike_values:
        return []
    first, cells = found.first.iloc[0], int(found.relation.unlike.sum())
    under = f" ({sense} otherwise)" if sense else ""
    return [
        f"{found.unlike_values:,} of {found.values:,} values of {name} differ{under}, in {cells:,} of "
        f"{len(found.relation.unlike):,} cells and {int((found.unlike_by_gene > 0).sum()):,} genes: first "
        f"{first['cell']}, {first['gene']}: {first['a']:g} → {first['b']:g}"
    ]


def _explained(pair: FilePair, found: MatrixComparison) -> list[Any]:
    if not found.unlike_values:
        return []
    return explain(pair.a.obs, pair.cells.a, found.relation.unlike, pair.config.examples)


def _details(found: MatrixComparison, pair: FilePair) -> dict[str, Any]:
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
    if len(found.unlike_by_gene) == len(pair.genes.a):
        names = pair.a.var.names[pair.genes.a]
        details["genes"] = {str(names[k]): int(found.unlike_by_gene[k]) for k in top if found.unlike_by_gene[k]}
    return details


def _quantiles(scale: np.ndarray) -> list[float]:
    return np.quantile(scale, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(scale) else []
