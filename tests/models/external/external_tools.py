"""Data, splits and files for the tests of the wrapped models."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightning import Callback
from tiny_curated import Tiny, random_split

from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit

TINY = Tiny(cells=10, controls=14)
DATA = TINY.data()
SPLIT = random_split(DATA)


def needs(*distributions: str) -> pytest.MarkDecorator:
    """Skip tests where the package of a wrapped model, or what it needs, is not installed."""
    lacking = [name for name in distributions if not any(metadata.distributions(name=name))]
    return pytest.mark.skipif(bool(lacking), reason=f"needs {', '.join(lacking)}")


def go_file(path: Path, tokens=("G0", "G1", "G2", "G3"), further=("A1", "B2")) -> Path:
    """A small graph over the tokens and further genes, each its own neighbour."""
    names = [*further, *tokens]
    rng = np.random.default_rng(0)
    rows = [
        (source, target, 1.0 if source == target else rng.uniform(0.1, 0.9)) for source in names for target in names
    ]
    pd.DataFrame(rows, columns=["source", "target", "importance"]).to_csv(path, index=False)
    return path


def assert_resumes(curated: Path, config: TrainConfig, folder: Path) -> Path:
    """Interrupt a fit after its first epoch, go on with it, and compare with one that nothing interrupted.

    Returns:
        the last checkpoint.
    """
    whole = fit(curated, SPLIT, config, folder / "whole", progress=False)
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(curated, SPLIT, config, folder / "cut", callbacks=[Interrupt()], progress=False)
    resumed = fit(curated, SPLIT, config, folder / "cut", progress=False)
    assert resumed.resumed_from == 1
    pd.testing.assert_frame_equal(resumed.history, whole.history)
    return whole.last_checkpoint


class Interrupt(Callback):
    """Fail in the middle of the second epoch, as a kill would."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 1):
            raise RuntimeError("interrupted")
