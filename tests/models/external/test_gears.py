from __future__ import annotations

import numpy as np
import pytest
import torch
from external_tools import DATA, SPLIT, TINY, go_file, needs
from model_tools import fitted, val_batches

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.external import extra

pytestmark = needs("cell-gears", "torch-geometric")
SMALL = {"hidden_size": 16, "lr": 0.01, "wd": 0.0, "similar_genes_go": 3, "similar_genes_coexpression": 4}


@pytest.fixture
def values(tmp_path) -> dict:
    return SMALL | {"go_graph": str(go_file(tmp_path / "go.csv"))}


def test_it_learns(values):
    model, trainer = fitted("gears", DATA, SPLIT, values, epochs=8, batch_size=16)
    _, baseline = fitted("control_mean", DATA, SPLIT)
    assert trainer.callback_metrics["val_loss"] < 0.8 * baseline.callback_metrics["val_loss"]
