from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_tools import fresh, module
from tiny_curated import Tiny, random_split

from perturbench_lamin.loading.batches import BatchLoader, ControlMatched
from perturbench_lamin.loading.grouped import Grouped
from perturbench_lamin.models.distinct import distinct_inputs, run_distinct
from perturbench_lamin.models.mlp import mlp

DATA = Tiny(treatments=("none", "drug")).data()
SPLIT = random_split(DATA, held_out=("G0+G1",))


@settings(max_examples=40, deadline=None)
@given(cells=st.integers(1, 50), parts=st.integers(1, 3), unseen=st.booleans(), seed=st.integers(0, 99))
def test_distinct_rows_are_all_rows_once(cells, parts, unseen, seed):
    rng = np.random.default_rng(seed)
    ids = torch.from_numpy(rng.integers(0, 4, (parts, cells)))
    tables = [torch.from_numpy(rng.random((4, 2 + part))) for part in range(parts)]
    codes = [(numbers, table[numbers]) for numbers, table in zip(ids, tables, strict=True)]
    if unseen:
        codes = [(torch.where(numbers == 3, -1, numbers), rows) for numbers, rows in codes]
    rows = torch.cat([rows for _, rows in codes], dim=1)
    distinct, place = distinct_inputs(codes)
    assert torch.equal(distinct[place], rows)
    assert len(distinct) == len(np.unique(rows.numpy(), axis=0))


def test_no_rows():
    distinct, place = distinct_inputs([(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3))])
    assert distinct.shape == (0, 3)
    assert place.tolist() == []


@pytest.mark.parametrize("known", [True, False])
def test_what_a_row_encodes_may_be_learnt(known):
    table = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    ids = torch.tensor([1, 0, 1])
    distinct, place = distinct_inputs([(ids if known else ids - 1, table[ids])])
    distinct[place].sum().backward()
    assert torch.equal(table.grad, torch.tensor([[1.0, 1.0], [2.0, 2.0]]))


CASES = [
    {},
    {"use_covariates": False},
    {"use_perturbations": False},
    {"softplus_output": False, "n_layers": 3},
]


@pytest.mark.parametrize("values", CASES)
@pytest.mark.parametrize("where", ["train", "val"])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_grouped_batches_have_the_loss_and_the_gradient_of_cell_by_cell(values, where, batch_size):
    data = module(DATA, SPLIT, "decoder_only", batch_size=batch_size)
    model, _ = fresh("decoder_only", DATA, {"encoder_width": 16, "n_layers": 1, **values})
    plain = copy.deepcopy(model).double()
    data = getattr(data, where)
    options = {"batch_size": batch_size, "seed": 1, "shuffle": True}
    for grouped, batch in zip(BatchLoader(Grouped(data), **options), BatchLoader(ControlMatched(data), **options)):  # noqa: B905 (a part is enough)
        assert len(grouped) == len(batch)
        inputs = [batch.perturbations] * plain.settings.use_perturbations
        inputs += [batch.covariates] * plain.settings.use_covariates
        decoded = plain.decoder(torch.cat(inputs, 1).double())
        predicted = torch.nn.functional.softplus(decoded) if plain.settings.softplus_output else decoded
        expected = ((predicted - batch.target.double()) ** 2).mean()
        for each in (model, plain):
            each.zero_grad()
        expected.backward()
        loss = model.loss(grouped)
        loss.backward()
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(model.loss(batch).double(), expected, rtol=1e-5, atol=0)
        for quick, slow in zip(model.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(quick.grad.double(), slow.grad, rtol=1e-3, atol=1e-6)


def test_conditions_that_training_lacks_are_told_apart():
    """Their ids are all -1; their tokens differ."""
    held_out = ("G0+G1", "G0+G2")
    split = random_split(DATA, held_out=held_out)
    data = module(DATA, split.replace({"test": "val"}), "decoder_only").val
    batch = next(iter(BatchLoader(Grouped(data), batch_size=1000, seed=0, shuffle=False)))
    assert (batch.condition_ids == -1).sum() == 2 * len(data.states)
    pairs = torch.cat([batch.perturbations, batch.covariates], 1)
    assert len(torch.unique(pairs, dim=0)) == len(pairs) == len(batch.counts)
    model, _ = fresh("decoder_only", DATA, {"encoder_width": 8, "n_layers": 1})
    model.eval()
    matched = next(iter(BatchLoader(ControlMatched(data), batch_size=1000, seed=0, shuffle=False)))
    torch.testing.assert_close(model.loss(batch), model.loss(matched))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dropout", [None, 0.0, 0.4])
def test_a_network_on_distinct_inputs_is_the_network_on_all_cells(training, dropout):
    """Dropout included: each cell has the mask that it would have had."""
    torch.manual_seed(0)
    network = mlp(5, 12, 3, 2, dropout=dropout).double().train(training)
    table = torch.rand(4, 5, dtype=torch.float64)
    ids = torch.arange(30) % 4
    torch.manual_seed(1)
    fast = run_distinct(network, [(ids, table[ids])])
    fast.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    torch.manual_seed(1)
    slow = network(table[ids])
    slow.square().sum().backward()
    torch.testing.assert_close(fast, slow)
    for quick, parameter in zip(gradients, network.parameters(), strict=True):
        torch.testing.assert_close(quick, parameter.grad)
    if dropout and training:
        assert len(torch.unique(fast.detach(), dim=0)) > 4
