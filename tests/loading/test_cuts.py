from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_curated import Tiny, random_split

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import BatchLoader, CellSets, ControlMatched, sampling
from perturbench_lamin.loading.curated import split_labels
from perturbench_lamin.loading.cuts import Cut, even_cuts, set_cuts
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.shares import Share
from perturbench_lamin.loading.vocabulary import Vocabulary

DATA = Tiny(treatments=("none", "drug"), cells=11).data()
SPLIT = random_split(DATA)
LABELS = split_labels(SPLIT, DATA)
TRAIN = SplitData.build(
    DATA, LABELS, "train", Vocabulary.from_cells(DATA.obs[LABELS == "train"], DATA.genes, DATA.info)
)
GROUPS = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)


def sets_of(cuts: list[Cut]) -> list[list[int]]:
    return [part.tolist() for cut in cuts for part in np.split(cut.cells, cut.starts[1:])]


@settings(max_examples=100, deadline=None)
@given(GROUPS, st.integers(1, 12), st.integers(1, 40), st.none() | st.integers(0, 9))
def test_every_cell_is_in_one_set_of_its_group_and_sets_are_as_large_as_they_may_be(groups, longest, batch_size, seed):
    order = np.random.default_rng(0).permutation(len(groups))
    cuts = set_cuts(order, groups, longest, batch_size, None if seed is None else np.random.default_rng(seed))
    found, most = sets_of(cuts), min(longest, batch_size)
    assert sorted(cell for one in found for cell in one) == list(range(len(groups)))
    sizes: dict[int, list[int]] = {}
    for one in found:
        assert len({int(groups[cell]) for cell in one}) == 1
        sizes.setdefault(int(groups[one[0]]), []).append(len(one))
    for group, here in sizes.items():
        assert len(here) == -(-int((groups == group).sum()) // most)
        assert max(here) - min(here) <= 1
    assert all(0 < len(cut.cells) <= batch_size for cut in cuts)
    assert len(cuts) == -(-len(found) // (batch_size // most)), "the same number of batches whatever is drawn"


@settings(max_examples=50, deadline=None)
@given(GROUPS, st.integers(1, 12), st.integers(1, 40), st.integers(1, 5))
def test_processes_share_a_batch_by_whole_sets(groups, longest, batch_size, world):
    for cut in set_cuts(np.arange(len(groups)), groups, longest, batch_size, None):
        parts = [cut.part(Share(rank, world)) for rank in range(world)]
        taken = [cut.cells[part] for part, weight in parts if weight]
        assert np.concatenate(taken).tolist() == cut.cells.tolist()
        bounds = {*cut.starts.tolist(), len(cut.cells)}
        assert all({part.start, part.stop} <= bounds for part, _ in parts)
        counted = [np.isin(cut.starts, range(part.start, part.stop)).sum() for part, weight in parts if weight]
        weights = [weight for _, weight in parts if weight]
        np.testing.assert_allclose(weights, [n * world / len(cut.starts) for n in counted])


def test_cells_by_themselves_are_cut_anywhere():
    cuts = even_cuts(np.arange(7), 3)
    assert [cut.cells.tolist() for cut in cuts] == [[0, 1, 2], [3, 4, 5], [6]]
    assert cuts[0].part(Share(1, 2)) == Share(1, 2).part(3)


def loader(*, seed=3, shuffle=True, set_size=4, batch_size=13, **more) -> BatchLoader:
    return BatchLoader(CellSets(TRAIN, set_size=set_size), batch_size=batch_size, seed=seed, shuffle=shuffle, **more)


def states_of(batch) -> list[tuple]:
    return [tuple(row) for row in torch.cat([batch.perturbations, batch.covariates], 1).tolist()]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 30), st.integers(0, 3))
def test_an_epoch_has_every_target_once_with_controls_of_its_state(seed, set_size, batch_size, epoch):
    batches = loader(seed=seed, set_size=set_size, batch_size=batch_size)
    batches.set_epoch(epoch)
    made = list(batches)
    assert len(made) == len(batches)
    seen = torch.cat([batch.expression for batch in made]).numpy()
    targets = DATA.X[TRAIN.rows[~TRAIN.is_control]].toarray()
    assert sorted(row.tobytes() for row in seen) == sorted(row.tobytes() for row in targets)
    state = {DATA.X[row].toarray().tobytes(): TRAIN.state[place] for place, row in enumerate(TRAIN.rows)}
    for batch in made:
        pairs = zip(batch.expression.numpy(), batch.controls.numpy(), strict=True)
        assert all(state[cell.tobytes()] == state[control.tobytes()] for cell, control in pairs)


def test_a_batch_has_few_groups_with_many_cells_each():
    apart = BatchLoader(ControlMatched(TRAIN), batch_size=12, seed=3, shuffle=True)
    groups = [len(set(states_of(batch))) for batch in loader(batch_size=12)]
    assert max(groups) <= 3
    assert np.mean([len(set(states_of(batch))) for batch in apart]) > 2 * np.mean(groups)


def same(left, right) -> bool:
    return torch.equal(left.expression, right.expression) and torch.equal(left.controls, right.controls)


def test_sets_depend_on_seed_and_epoch_alone():
    first, again = loader(), loader(prefetch=2)
    again.set_epoch(2)
    list(again)
    again.set_epoch(0)
    assert all(same(*pair) for pair in zip(first, again, strict=True))
    again.set_epoch(1)
    assert not any(same(*pair) for pair in zip(first, again, strict=True))
    fixed = loader(shuffle=False)
    before = list(fixed)
    fixed.set_epoch(5)
    assert all(same(*pair) for pair in zip(before, fixed, strict=True))


def test_the_set_size_is_given_by_name_and_checked():
    assert sampling("cell_sets", TRAIN, set_size=7).set_size == 7
    with pytest.raises(InputError, match="set_size is 0"):
        CellSets(TRAIN, set_size=0)
