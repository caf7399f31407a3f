"""Cells and genes under other names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.comparison.cell_names import CHANGES, without_common_ends
from perturbench_lamin.comparison.fingerprints import fingerprints
from perturbench_lamin.comparison.genes import match_genes
from perturbench_lamin.comparison.matching import match_cells
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.curation.source import MatrixSource
from perturbench_lamin.errors import InputError

BARCODES = ["AACGTTGA", "CCATGGTA", "GGTTAACC", "TTGCAACG", "ACACACAC"]
LANES = [f"{barcode}-{lane}" for lane, barcode in enumerate(BARCODES, start=1)]
AUTO = CompareConfig()


class FakeTable:
    """A table of genes in memory."""

    def __init__(self, names, **columns):
        self.names, self.data = pd.Index(names, dtype=object), pd.DataFrame(columns)
        self.columns = list(self.data)

    def __len__(self):
        return len(self.names)

    def items(self):
        return self.data.items()

    def column(self, name):
        return self.data[name]


def never():
    pytest.fail("content is looked at although names do")


def match(a, b, contents=never, config=AUTO):
    found = match_cells(pd.Index(a), pd.Index(b), config, contents)
    return found, [(a[i], b[j]) for i, j in zip(found.a, found.b, strict=True)]


def source(counts, names=None):
    counts = np.asarray(counts)
    names = names or [str(k) for k in range(len(counts))]
    return MatrixSource(sparse.csr_matrix(counts), names, [f"g{k}" for k in range(counts.shape[1])])


@pytest.mark.parametrize(
    "changed",
    [
        [f"{name}-1" for name in LANES],
        [f"sample_{name}" for name in LANES],
        [f"sample_{name}-0" for name in LANES],
        [name.split("-")[0] for name in LANES],
        [f"lane{k}:{name}" for k, name in enumerate(LANES)],
        [f"{name}_x{k}" for k, name in enumerate(LANES)],
        [f"lane{k}#{name.split('-')[0]}" for k, name in enumerate(LANES)],
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_additions_to_names_are_taken_back(changed, swapped):
    order = [3, 0, 4, 1, 2]
    shuffled = [changed[k] for k in order]
    wanted = {(LANES[k], changed[k]) for k in order}
    found, pairs = match(shuffled, LANES) if swapped else match(LANES, shuffled)
    assert {(y, x) if swapped else (x, y) for x, y in pairs} == wanted
    assert found.how.startswith("name ")
    assert not len(found.only_a)
    assert not len(found.only_b)


def test_names_that_would_become_one_have_no_partner():
    found, pairs = match(["AAAA-1", "AAAA-2", "CCCC-1"], ["AAAA", "CCCC", "GGGG"], lambda: None)
    assert pairs == [("CCCC-1", "CCCC")]
    assert found.only_a.tolist() == [0, 1]
    assert found.only_b.tolist() == [0, 2]


def test_what_names_share_by_chance_is_kept():
    assert list(without_common_ends(pd.Index(["AAC", "AAG"]))) == ["AAC", "AAG"]
    assert list(without_common_ends(pd.Index(["x_AAC-1", "x_AAG-1"]))) == ["AAC", "AAG"]
    assert list(without_common_ends(pd.Index([]))) == []


@pytest.mark.parametrize("how", sorted(CHANGES))
def test_a_change_keeps_how_many_names_there_are(how):
    assert len(CHANGES[how](pd.Index(LANES))) == len(LANES)
    assert len(CHANGES[how](pd.Index([], dtype=object))) == 0


def test_cells_without_a_common_name_are_matched_by_content():
    counts = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5]])
    contents = source(counts), source(counts[[2, 0, 3]])
    found, pairs = match(["a", "b", "c", "d"], ["x", "y", "z"], lambda: contents)
    assert pairs == [("a", "y"), ("c", "x"), ("d", "z")]
    assert found.how == "content"
    assert found.only_a.tolist() == [1]
    found, pairs = match(["a", "b", "c", "d"], ["x", "y", "z"], lambda: contents, CompareConfig(cells="name"))
    assert pairs == []


def test_numbers_as_names_are_not_believed():
    counts = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5]])
    numbers = ["0", "1", "2", "3"]
    found, pairs = match(numbers, numbers, lambda: (source(counts), source(counts[::-1])))
    assert pairs == [("0", "3"), ("1", "2"), ("2", "1"), ("3", "0")]
    found, pairs = match(numbers, numbers, lambda: (source(counts), source(counts * 2)))
    assert found.how == "name", "nothing better is known"
    found, _ = match(numbers, numbers, lambda: (source(counts), source(counts)))
    assert found.how == "name"


def test_cells_of_the_same_content_are_paired_in_order_and_counted():
    counts = np.array([[1, 0], [1, 0], [0, 2]])
    found, pairs = match(["a", "b", "c"], ["x", "y", "z"], lambda: (source(counts), source(counts[[2, 1, 0]])))
    assert pairs == [("a", "y"), ("b", "z"), ("c", "x")]
    assert found.ambiguous == 2


def test_content_needs_common_genes():
    with pytest.raises(InputError, match="no gene in common"):
        match(["a"], ["b"], lambda: None, CompareConfig(cells="content"))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_fingerprints_tell_contents_apart_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.0, (20, 10))
    plain = fingerprints(source(counts))
    stored = sparse.csr_matrix(counts.astype(np.float64))
    stored.data[:3] = 0  # zeros that are stored
    kept = fingerprints(source(stored.toarray()))
    explicit = fingerprints(MatrixSource(stored, [str(k) for k in range(20)], [f"g{k}" for k in range(10)]))
    assert (kept == explicit).all()
    assert len(set(plain.tolist())) == len(np.unique(counts, axis=0))
    assert (fingerprints(source(counts[::-1].astype(np.float32))) == plain[::-1]).all()
    counts[5, 3] += 1
    assert np.flatnonzero(fingerprints(source(counts)) != plain).tolist() == [5]


def test_genes_are_found_by_columns_of_either_file():
    symbols, ids = ["TP53", "MYC", "KLF1"], ["ENSG001", "ENSG002", "ENSG003"]
    a = FakeTable(symbols, ensembl_id=ids, n=[1, 2, 3])
    versioned = [f"{name}.7" for name in ids]
    found = match_genes(a, FakeTable(versioned[::-1], gene_name=["other", "names", "here"]))
    assert found.how == "ensembl_id of A, index of B"
    assert found.b.tolist() == [2, 1, 0]
    assert not found.in_order
    found = match_genes(a, FakeTable(["x", "y", "z"], gene_name=symbols))
    assert found.how == "index of A, gene_name of B"
    found = match_genes(a, FakeTable(["x", "y"], gene_id=pd.Categorical(versioned[:2])))
    assert found.how == "ensembl_id of A, gene_id of B"
    assert found.only_a.tolist() == [2]
    assert match_genes(a, FakeTable(symbols[:2], ensembl_id=ids[:2])).how == "name"


def paired(found):
    return list(zip(found.a.tolist(), found.b.tolist(), strict=True))


def test_a_gene_name_that_occurs_twice_is_matched_in_order():
    twice = ["TP53", "TP53", "MYC"]
    found = match_genes(FakeTable(twice), FakeTable(twice))
    assert (paired(found), found.how, found.untold) == ([(0, 0), (1, 1), (2, 2)], "name", ())
    found = match_genes(FakeTable(twice), FakeTable(["KLF1", *twice]))
    assert (paired(found), found.only_b.tolist()) == ([(0, 1), (1, 2), (2, 3)], [0])


def test_a_gene_name_that_occurs_twice_is_told_apart_by_a_column():
    a = FakeTable(["TP53", "TP53", "MYC"], n=["1", "1", "1"], ensembl_id=["E1", "E2", "E3"])
    found = match_genes(a, FakeTable(["MYC", "TP53", "TP53"], n=["1", "1", "1"], ensembl_id=["E3", "E2", "E1"]))
    assert (paired(found), found.how) == ([(0, 2), (1, 1), (2, 0)], "name and ensembl_id")


def test_what_is_left_of_a_name_is_paired_where_it_is_one_and_else_untold():
    found = match_genes(FakeTable(["TP53", "TP53", "MYC"]), FakeTable(["MYC", "TP53", "TP53"]))
    assert (paired(found), found.untold) == ([(2, 0)], ("TP53", "TP53"))
    assert not len(found.only_a)
    assert not len(found.only_b)
    found = match_genes(FakeTable(["TP53", "TP53", "MYC"]), FakeTable(["MYC", "TP53"]))
    assert (paired(found), found.untold, found.only_a.tolist()) == ([(2, 0)], ("TP53",), [1])
    a = FakeTable(["TP53", "TP53", "MYC", "KLF1"], ensembl_id=["E1", "E2", "E3", "E5"])
    found = match_genes(a, FakeTable(["MYC", "KLF1", "TP53", "TP53"], ensembl_id=["E3", "E5", "E4", "E1"]))
    assert paired(found) == [(0, 3), (1, 2), (2, 0), (3, 1)]
    assert found.untold == ()
