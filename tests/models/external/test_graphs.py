from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.external.graphs import Neighbours, coexpression_graph, edge_list, read_graph


def edges(neighbours: Neighbours) -> dict[tuple[int, int], float]:
    pairs, weights = edge_list(torch.from_numpy(neighbours.sources), torch.from_numpy(neighbours.weights))
    return dict(zip([tuple(pair) for pair in pairs.T.tolist()], weights.tolist(), strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 15), st.floats(0.05, 0.95))
def test_coexpression_graph_keeps_the_strongest_above_the_threshold(seed, n_genes, similar, threshold):
    values = np.random.default_rng(seed).uniform(-1, 1, (n_genes, n_genes))
    correlations = (values + values.T) / 2
    np.fill_diagonal(correlations, 1)
    found = edges(coexpression_graph(correlations, similar, threshold))
    expected = {}
    for target in range(n_genes):
        weights = np.abs(correlations[target])
        for source in sorted(range(n_genes), key=lambda gene: -weights[gene])[: similar + 1]:
            if weights[source] > threshold:
                expected[source, target] = weights[source]
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[edge] for edge in expected], list(expected.values()), rtol=1e-6)


def test_ties_go_to_the_earlier_gene():
    graph = coexpression_graph(np.array([[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]]), 1, 0.1)
    np.testing.assert_array_equal(graph.sources, [[0, 1], [1, 0], [2, 0]])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 10))
def test_a_file_gives_the_heaviest_edges_of_each_target(tmp_path_factory, seed, n_names, similar):
    rng = np.random.default_rng(seed)
    names = [f"gene{number}" for number in rng.permutation(n_names)]
    rows = [(s, t, rng.choice([0.2, 0.5, rng.uniform(0.1, 1)])) for s in names for t in names if rng.random() < 0.8]
    rows = rows or [(names[0], names[0], 1.0)]
    table = pd.DataFrame(rows, columns=["source", "target", "importance"])
    path = tmp_path_factory.mktemp("graph") / "go.csv"
    table.to_csv(path, index=False)
    graph = read_graph(path, similar)
    assert list(graph.names) == sorted({*table["source"], *table["target"]})
    heaviest = [part.nlargest(similar + 1, "importance") for _, part in table.groupby("target")]
    expected = {(row.source, row.target): row.importance for part in heaviest for row in part.itertuples()}
    found = {(graph.names[s], graph.names[t]): weight for (s, t), weight in edges(graph.neighbours).items()}
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[edge] for edge in expected], list(expected.values()), rtol=1e-6)


def test_isolated_nodes_come_last_and_have_no_edges(tmp_path):
    path = tmp_path / "go.csv"
    path.write_text("source,target,importance\nA,B,0.5\n")
    graph = read_graph(path, 2).with_isolated(["Z", "0"])
    assert graph.names == ("A", "B", "Z", "0")
    assert edges(graph.neighbours) == {(0, 1): 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,target\nA,B\n", "No column 'importance'"),
        ("source,target,importance\nA,B,x\n", "no positive weight"),
        ("source,target,importance\nA,B,0\n", "no positive weight"),
        ("source,target,importance\nA,,0.5\n", "no name"),
        ("source,target,importance\nA,B,0.5\nA,B,0.6\n", "twice: A → B"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "go.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_graph(path, 3)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="No such graph file"):
        read_graph(tmp_path / "go.csv", 3)
