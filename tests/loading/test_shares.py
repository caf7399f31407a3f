from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batches import split_data

from perturbench_lamin.loading.batches import BatchLoader, ControlMatched
from perturbench_lamin.loading.prefetch import made_ahead
from perturbench_lamin.loading.shares import Share


@settings(max_examples=60, deadline=None)
@given(cells=st.integers(1, 40), world=st.integers(1, 9), seed=st.integers(0, 99))
def test_shares_are_the_whole_and_weighted_means_its_mean(cells, world, seed):
    values = np.random.default_rng(seed).random(cells)
    parts = [Share(rank, world).part(cells) for rank in range(world)]
    assert np.concatenate([values[part] for part, weight in parts if weight]).tolist() == values.tolist()
    assert all(len(values[part]) for part, _ in parts), "every process has a cell to compute on"
    weighted = np.mean([weight * values[part].mean() for part, weight in parts])
    np.testing.assert_allclose(weighted, values.mean())


@pytest.mark.parametrize("world", [2, 3])
def test_the_union_of_all_processes_batches_is_one_processs(world):
    sampling = ControlMatched(split_data())
    whole = BatchLoader(sampling, batch_size=10, seed=1, shuffle=True)
    parts = [BatchLoader(sampling, batch_size=10, seed=1, shuffle=True, share=Share(r, world)) for r in range(world)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert batch.weight == 1
        for name in ("controls", "expression", "condition_ids"):
            union = torch.cat([getattr(share, name) for share in shares if share.weight])
            assert torch.equal(union, getattr(batch, name))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 12), ahead=st.integers(0, 5), take=st.integers(0, 12))
def test_items_made_ahead_come_in_order_and_an_early_stop_ends_the_threads(count, ahead, take):
    made = made_ahead(lambda number: number * number, count, ahead)
    found = [item for _, item in zip(range(take), made, strict=False)]
    assert found == [number * number for number in range(min(take, count))]
    made.close()


def test_an_error_in_a_thread_reaches_the_caller():
    def make(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    found = []
    with pytest.raises(ValueError, match="three"):
        found.extend(made_ahead(make, 9, 2))
    assert len(list(made_ahead(make, 3, 2))) == 3
