from __future__ import annotations

import numpy as np
import torch
from external_tools import needs
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.models.external import extra
from perturbench_lamin.models.external.gears_loss import gears_loss


def example(seed: int, n_cells: int, n_genes: int, n_conditions: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    conditions = rng.integers(0, n_conditions, n_cells)
    draw = lambda: torch.from_numpy(np.maximum(rng.normal(1, 1, (n_cells, n_genes)), 0).astype(np.float32))  # noqa: E731
    used = torch.from_numpy(rng.random((n_conditions, n_genes)) < 0.7)
    used[:, 0] = True
    control = torch.from_numpy(rng.uniform(0, 2, n_genes).astype(np.float32)).expand(n_cells, -1)
    return {
        "predicted": draw(), "target": draw(), "control": control, "used": used[conditions],
        "conditions": torch.from_numpy(conditions),
    }  # fmt: skip


def plain(predicted, target, control, used, conditions, direction_lambda) -> float:
    """Condition by condition, cell by cell, gene by gene."""
    means = []
    for condition in set(conditions.tolist()):
        terms = []
        for cell in np.flatnonzero(conditions.numpy() == condition):
            for gene in np.flatnonzero(used[cell].numpy()):
                x, y, c = (float(part[cell, gene]) for part in (predicted, target, control))
                terms.append((x - y) ** 4 + direction_lambda * (np.sign(y - c) - np.sign(x - c)) ** 2)
        means.append(np.mean(terms))
    return float(np.mean(means))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1, 2.0]))
def test_loss_is_the_formula(seed, n_cells, n_genes, n_conditions, direction_lambda):
    parts = example(seed, n_cells, n_genes, n_conditions)
    expected = plain(**parts, direction_lambda=direction_lambda)
    np.testing.assert_allclose(gears_loss(**parts, direction_lambda=direction_lambda), expected, rtol=1e-5)


@needs("cell-gears", "torch-geometric")
def test_loss_is_the_packages():
    parts = example(0, 40, 7, 5)
    names = [f"P{condition}+ctrl" for condition in parts["conditions"].tolist()]
    used = {name: np.flatnonzero(row.numpy()) for name, row in zip(names, parts["used"], strict=True)}
    theirs = extra.GEARS.module("gears.utils").loss_fct(
        parts["predicted"], parts["target"], names, ctrl=parts["control"][0], direction_lambda=0.1, dict_filter=used
    )
    np.testing.assert_allclose(gears_loss(**parts, direction_lambda=0.1), theirs.item(), rtol=1e-5)
