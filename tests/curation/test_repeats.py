from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.curation.repeats import repeated_cells
from perturbench_lamin.curation.source import MatrixSource


def plain(names, dense):
    seen, repeated = set(), []
    for name, row in zip(names, dense, strict=True):
        word = (name, tuple(row))
        repeated.append(word in seen)
        seen.add(word)
    return repeated


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 2), min_size=3, max_size=3)), max_size=12))
def test_a_cell_is_repeated_when_name_and_counts_are_an_earlier_ones(cells):
    names = [name for name, _ in cells]
    dense = np.array([counts for _, counts in cells], dtype=np.float32).reshape(len(cells), 3)
    source = MatrixSource(sparse.csr_matrix(dense), pd.Index(names, dtype=object), pd.Index(["g1", "g2", "g3"]))
    assert repeated_cells(source).tolist() == plain(names, dense.tolist())
