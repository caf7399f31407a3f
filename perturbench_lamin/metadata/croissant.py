"""Croissant metadata of a curated dataset: the description that dataset search engines and loaders read.

Source: MLCommons Croissant 1.1, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import sha256, write_text
from perturbench_lamin.storage.anndata_file import AnnDataFile

if TYPE_CHECKING:
    import lamindb as ln

H5AD = "application/x-hdf5"
KINDS = {"i": "INTEGER", "u": "INTEGER", "f": "FLOAT", "b": "BOOL"}
"""Croissant's type of a column by the kind of its values; all else, categories and strings, is text."""


@dataclass(frozen=True)
class DatasetFile:
    """What Croissant metadata say of one file.

    Attributes:
        name: of the dataset.
        description: of the file.
        path: the file.
        url: where it can be had; relative to the metadata, or absolute.
        version: of the artifact.
        published: an ISO date.
        citation: what to cite.
        origin: addresses of the deposited files that it was made from.
        licence: an SPDX identifier; None where the archive states none.
        keywords: words to find it by.
        obs: column of the cells' table → Croissant's type of it.
        conditions: condition → number of its cells.
    """

    name: str
    description: str
    path: Path
    url: str
    version: str
    published: str
    citation: str
    origin: tuple[str, ...]
    licence: str | None
    keywords: tuple[str, ...]
    obs: Mapping[str, str]
    conditions: Mapping[str, int]


def describe(artifact: ln.Artifact) -> DatasetFile:
    """What an instance knows of a curated artifact.

    Raises:
        InputError: it is not a curated AnnData file.
    """
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.lineage.features import plain_values
    from perturbench_lamin.lineage.graph import ancestry

    if artifact.suffix != ".h5ad" or not (artifact.key or "").startswith("curated/"):
        raise InputError(
            f"Not a curated dataset: {artifact.key}", where=artifact.uid, fix="Name one in the folder curated/."
        )
    path = artifacts.require(artifact)
    values = plain_values(artifact)
    raw = [artifacts.get(uid) for uid in ancestry(artifact).artifacts if uid != artifact.uid]
    told = [plain_values(one) for one in raw if one.key.startswith("raw/")]
    simulated = bool(values.get("simulated", False))
    return DatasetFile(
        name=Path(artifact.key).stem,
        description=artifact.description or artifact.key,
        path=path,
        url=path.name if isinstance(artifact.path, Path) else str(artifact.path),
        version=f"1.0.{_place(artifact)}",
        published=f"{artifact.created_at:%Y-%m-%d}",
        citation="; ".join(sorted({one["citation"] for one in told if "citation" in one})) or "not stated",
        origin=tuple(one["origin_url"] for one in told if "origin_url" in one and not simulated),
        licence=next((one["licence"] for one in told if one.get("licence")), None),
        keywords=("single-cell", "perturbation", *(["simulated"] if simulated else [])),
        obs=obs_types(path),
        conditions=count_conditions(path),
    )


def obs_types(path: Path) -> dict[str, str]:
    """Croissant's type of each column of a file's cells, in the file's order; a name in its list of types."""
    with AnnDataFile(path) as file:
        return {name: KINDS.get(values.dtype.kind, "TEXT") for name, values in file.obs_table.items()}


def count_conditions(path: Path) -> dict[str, int]:
    """The conditions of a file's cells, sorted, with their numbers of cells; "" where a cell has none."""
    with AnnDataFile(path) as file:
        column = file.obs_table.column("condition")
    counts = column.astype(object).where(column.notna(), "").value_counts()
    return {str(condition): int(counts[condition]) for condition in sorted(counts.index, key=str)}


def _place(artifact: ln.Artifact) -> int:
    """How many versions of the artifact came before."""
    return int(artifact.versions.filter(created_at__lt=artifact.created_at).count())


def croissant(file: DatasetFile) -> dict[str, Any]:
    """The metadata, as JSON-LD."""
    import mlcroissant as mlc

    held = mlc.FileObject(
        id="h5ad",
        name=file.path.name,
        description="AnnData: X log-normalised, layers/counts, obs the cells, var the genes",
        content_url=file.url,
        content_size=f"{file.path.stat().st_size} B",
        encoding_formats=[H5AD],
        sha256=sha256(file.path),
    )
    metadata = mlc.Metadata(
        name=file.name,
        description=file.description,
        cite_as=file.citation,
        license=[f"https://spdx.org/licenses/{file.licence}"] if file.licence else None,
        version=file.version,
        date_published=file.published,
        keywords=list(file.keywords),
        same_as=list(file.origin) or None,
        url=file.origin[0] if file.origin else file.url,
        distribution=[held],
        record_sets=[_cells(file), _conditions(file)],
    )
    plain: dict[str, Any] = metadata.to_json()
    return plain


def _cells(file: DatasetFile) -> Any:
    import mlcroissant as mlc

    fields = [
        mlc.Field(
            id=f"cells/{column}",
            name=column,
            description=f"obs[{column!r}]",
            data_types=[getattr(mlc.DataType, kind)],
            source=mlc.Source(file_object="h5ad", extract=mlc.Extract(column=f"obs/{column}")),
        )
        for column, kind in file.obs.items()
    ]
    return mlc.RecordSet(id="cells", name="cells", description="One row a cell", fields=fields)


def _conditions(file: DatasetFile) -> Any:
    """The conditions with their numbers of cells, in the metadata themselves: readable without the file."""
    import mlcroissant as mlc

    columns = (("condition", "condition", mlc.DataType.TEXT), ("n_cells", "number of cells", mlc.DataType.INTEGER))
    fields = [
        mlc.Field(id=f"conditions/{name}", name=name, description=about, data_types=[kind])
        for name, about, kind in columns
    ]
    rows = [
        {"conditions/condition": condition, "conditions/n_cells": count} for condition, count in file.conditions.items()
    ]
    return mlc.RecordSet(
        id="conditions", name="conditions", description="Conditions and their cells", fields=fields, data=rows
    )


def write_croissant(file: DatasetFile, out: Path) -> Path:
    """Write the metadata atomically."""
    return write_text(out, json.dumps(croissant(file), indent=2, default=str) + "\n")
