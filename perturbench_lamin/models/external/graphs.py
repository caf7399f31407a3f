"""Gene graphs as tables of each node's strongest neighbours: from correlations, or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.storage.csv_file import CsvFile, read_csv, require_columns

COLUMNS = ("source", "target", "importance")


@dataclass(frozen=True)
class Neighbours:
    """A weighted, directed graph.

    Attributes:
        sources: for each node the nodes that point to it (nodes × k, int64), -1 where there are fewer.
        weights: their weights (nodes × k, float32), 0 where there are fewer.
    """

    sources: np.ndarray
    weights: np.ndarray

    @classmethod
    def of_edges(cls, source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_nodes: int, k: int) -> Neighbours:
        """The ``k`` heaviest edges into each node; of equal ones those that come first."""
        order = np.lexsort((np.arange(len(target)), -weight, target))
        sorted_targets = target[order]
        rank = np.arange(len(order)) - np.searchsorted(sorted_targets, sorted_targets)
        kept = order[rank < k]
        sources = np.full((n_nodes, k), -1, dtype=np.int64)
        weights = np.zeros((n_nodes, k), dtype=np.float32)
        sources[target[kept], rank[rank < k]] = source[kept]
        weights[target[kept], rank[rank < k]] = weight[kept]
        return cls(sources, weights)


def coexpression_graph(correlations: np.ndarray, similar_genes: int, threshold: float) -> Neighbours:
    """Each gene's most correlated genes, itself among them, with an absolute correlation above a threshold.

    As in GEARS (Roohani, Huang & Leskovec, Nature Biotechnology 2023), with ties in the order of the genes.

    Args:
        correlations: genes × genes.
        similar_genes: neighbours of a gene at most, besides itself.
        threshold: absolute correlations must be higher.

    Returns:
        tables of genes × min(similar_genes + 1, genes).
    """
    weights = np.abs(correlations)
    k = min(similar_genes + 1, len(weights))
    sources = np.argsort(-weights, axis=1, kind="stable")[:, :k]
    weights = np.take_along_axis(weights, sources, axis=1)
    weak = weights <= threshold
    return Neighbours(np.where(weak, -1, sources), np.where(weak, 0, weights).astype(np.float32))


@dataclass(frozen=True)
class NamedGraph:
    """A graph and the names of its nodes, sorted."""

    names: tuple[str, ...]
    neighbours: Neighbours

    def with_isolated(self, names: list[str]) -> NamedGraph:
        """The graph with further nodes, without edges, after its own."""
        extra = ((0, len(names)), (0, 0))
        sources = np.pad(self.neighbours.sources, extra, constant_values=-1)
        return NamedGraph((*self.names, *names), Neighbours(sources, np.pad(self.neighbours.weights, extra)))


def read_graph(path: str | Path, similar_genes: int) -> NamedGraph:
    """A graph of gene similarity from a table with the columns source, target and importance.

    Args:
        path: a CSV file, such as the one that GEARS publishes: the share of common Gene Ontology terms.
        similar_genes: how many neighbours of a gene to keep, besides itself.

    Raises:
        InputError: there is no such file, or it is not such a table.
    """
    if not Path(path).is_file():
        raise InputError(
            "No such graph file", where=path, fix=f"Give a CSV file with the columns {', '.join(COLUMNS)}."
        )
    file = read_csv(path)
    require_columns(file, COLUMNS)
    weight = _weights(file)
    table = file.table
    names = sorted({*table["source"], *table["target"]})
    place = {name: index for index, name in enumerate(names)}
    source, target = (table[column].map(place).to_numpy() for column in COLUMNS[:2])
    return NamedGraph(tuple(names), Neighbours.of_edges(source, target, weight, len(names), similar_genes + 1))


def _weights(file: CsvFile) -> np.ndarray:
    table, ends = file.table, list(COLUMNS[:2])
    # Python's own conversion: that of pandas is not exact to the last digit.
    weight = np.array([_number(text) for text in table["importance"]])
    wrong = ~(np.isfinite(weight) & (weight > 0)) | (table[ends] == "").any(axis=1).to_numpy()
    if wrong.any():
        raise InputError(
            "Some edges have no name or no positive weight", where=file.first(wrong), fix="Remove or mend them."
        )
    twice = table.duplicated(ends)
    if twice.any():
        pairs = some(f"{row.source} → {row.target}" for row in table[twice].itertuples())
        raise InputError(f"Edges stand twice: {pairs}", where=file.first(twice), fix="Keep one of each.")
    return weight


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def edge_list(sources: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The edges of the tables of :class:`Neighbours`.

    Returns:
        source and target of each edge (2 × edges, int64), and its weight (edges).
    """
    target, place = torch.nonzero(sources >= 0, as_tuple=True)
    return torch.stack([sources[target, place], target]), weights[target, place]
