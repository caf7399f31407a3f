"""Data, splits and files for the tests of the wrapped models."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_curated import Tiny, random_split

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
    rows = [(source, target, 1.0 if source == target else rng.uniform(0.1, 0.9)) for source in names for target in names]
    pd.DataFrame(rows, columns=["source", "target", "importance"]).to_csv(path, index=False)
    return path
