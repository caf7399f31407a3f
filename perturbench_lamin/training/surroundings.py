"""What a training changes around it, and puts back: log levels, warnings, determinism, random states."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.utilities.seed import seed_everything
from lightning.pytorch.utilities.seed import isolate_rng

VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")
CHATTY = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed everything and use deterministic algorithms inside the block; restore what was before after it."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    deterministic: Any = torch.utils.deterministic
    benchmark, filled = torch.backends.cudnn.benchmark, deterministic.fill_uninitialized_memory
    variables = {name: os.environ.get(name) for name in VARIABLES}
    with isolate_rng():
        seed_everything(seed, workers=False, verbose=False)
        try:
            # torch would write NaN into all fresh memory first, to show up what reads it unwritten: nothing here does.
            deterministic.fill_uninitialized_memory = False
            yield
        finally:
            deterministic.fill_uninitialized_memory = filled
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.backends.cudnn.benchmark = benchmark
            _restore(variables)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's hints to itself inside the block."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Resuming into a folder that holds the training's earlier checkpoints is what is meant.
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            # Lightning 2.6 makes a pytree leaf in the way that torch 2.13 deprecates.
            warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated", category=FutureWarning)
            # Lightning would have every command on a cluster begin with srun.
            warnings.filterwarnings("ignore", message="The `srun` command is available")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def return_free_memory() -> None:
    """Return freed memory to the system: what reading freed glibc keeps, while batches take fresh memory beside it."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)


def watched() -> bool:
    """Whether somebody looks on: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
