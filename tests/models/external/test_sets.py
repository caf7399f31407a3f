from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.models.external.sets import cell_sets


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 12))
def test_sets_are_even_parts_of_groups(seed, n_cells, longest):
    rng = np.random.default_rng(seed)
    perturbations = torch.from_numpy((rng.random((n_cells, 3)) < 0.4).astype(np.float32))
    covariates = torch.from_numpy(np.eye(2, dtype=np.float32)[rng.integers(0, 2, n_cells)])
    unseen = torch.full((n_cells,), -1)
    found = cell_sets(Batch(perturbations, perturbations, covariates, unseen, unseen), longest)
    sets = [places for block in found for places in block.tolist()]
    assert sorted(place for places in sets for place in places) == list(range(n_cells))
    labels = [tuple(row) for row in torch.cat([perturbations, covariates], 1).tolist()]
    groups: dict = {}
    for places in sets:
        assert len({labels[place] for place in places}) == 1
        assert places == sorted(places)
        groups.setdefault(labels[places[0]], []).append(len(places))
    for label, sizes in groups.items():
        assert len(sizes) == -(-labels.count(label) // longest)
        assert max(sizes) <= longest
        assert max(sizes) - min(sizes) <= 1
    assert [block.shape[1] for block in found] == sorted({len(places) for places in sets})
