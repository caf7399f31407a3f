"""Peak memory of training on 100,000 cells, and what it is made of. On Linux: it reads and resets /proc.

Run ``python tests/benchmarks/bench_training_memory.py [--cells N]``; prints a table and JSON. Each training runs in a
process of its own, which has imported everything and trained a tiny model of the same kind before.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from bench_loading import BATCH, CELLS, simulated
from lightning import Callback

from perturbench_lamin.loading.header import read_header
from perturbench_lamin.loading.placement import expression_bytes
from perturbench_lamin.models.published import published
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit

MODELS, MEMORIES = ("linear", "latent_additive", "decoder_only"), ("memory", "disk")
BATCHES = 2
"""How many of training and of validation an epoch has: more take more time, not more memory. All cells are read."""

TINY, TINY_WIDTH = 4_000, 16
"""Cells and hidden width of the training that is not measured."""

MIB = 2**20


class HighWater:
    """The peak of this process's resident memory, which the system can be told to measure anew."""

    def __init__(self) -> None:
        self.highest = 0

    def now(self) -> int:
        """Bytes that are resident."""
        return _status("VmRSS")

    def since_reset(self) -> int:
        """The highest since the last reset, in bytes."""
        return _status("VmHWM")

    def reset(self) -> None:
        """Measure anew from here; the highest so far is kept."""
        self.highest = self.peak()
        Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> int:
        """The highest since this object was made and reset first, in bytes."""
        return max(self.highest, self.since_reset())


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


class Parts(Callback):
    """What is held during a training: expression, batches, weights, and what a step takes beside them."""

    def __init__(self, water: HighWater) -> None:
        self.water, self.step, self.batch, self.expression, self.ahead, self.weights = water, 0, 0, 0, 0, 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Look at what the training holds."""
        X = trainer.datamodule.train.X
        arrays = [getattr(X, name, None) for name in ("indptr", "indices", "bits", "data")]
        self.expression = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        self.ahead = trainer.datamodule.prefetch
        self.weights = sum(parameter.nbytes for parameter in pl_module.parameters())

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """From here memory is the step's."""
        tensors = {id(value): value.nbytes for value in vars(batch).values() if hasattr(value, "nbytes")}
        self.batch = max(self.batch, sum(tensors.values()))
        self.water.reset()
        self.before = self.water.now()

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """What the first step's forward pass has taken; later steps use freed memory again."""
        if trainer.global_step == 0:
            self.step = self.water.since_reset() - self.before

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """What its backward pass has taken beside the gradient, where that is more."""
        if trainer.global_step == 0:
            self.step = max(self.step, self.water.since_reset() - self.before - self.weights)


def train(model: str, memory: str, path: Path, hyperparameters: dict[str, Any], callbacks: list[Callback]) -> None:
    """Train on a few batches of a file of which all cells are read."""
    with tempfile.TemporaryDirectory() as folder:
        names = read_header(path).obs.index
        split = pd.Series("", index=names, dtype=object)
        each = min(BATCHES * BATCH, len(names) // 2) * 10 // 9  # a tenth are controls, which are no targets
        split.iloc[:each], split.iloc[each : 2 * each] = "train", "val"
        settings = {"max_epochs": 1, "accelerator": "cpu", "batch_size": BATCH}
        config = TrainConfig(model, hyperparameters, memory=memory, **settings)
        fit(path, split, config, folder, progress=False, callbacks=callbacks)


def measured(model: str, memory: str, path: Path) -> dict[str, Any]:
    """In this process: the peak beyond imports, and its parts."""
    hyperparameters = published(model, "norman19").hyperparameters
    narrow = {"encoder_width": TINY_WIDTH, "latent_dim": TINY_WIDTH}
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny.h5ad"
        write(tiny, TINY)
        changed = {name: value for name, value in narrow.items() if name in hyperparameters}
        train(model, memory, tiny, hyperparameters | changed, [])
    water = HighWater()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    water.reset()
    water.highest, before = 0, water.now()
    parts = Parts(water)
    train(model, memory, path, hyperparameters, [parts])
    return row(model, memory, expression_bytes(path), water.peak() - before, parts)


def row(model: str, memory: str, dataset: int, taken: int, parts: Parts) -> dict[str, Any]:
    """The table's row, in MiB. Beside a batch made ahead it is not seen what a step takes: that is in the rest."""
    activations = 0 if parts.ahead else parts.step
    states = 4 * parts.weights  # weights, gradients, two moments
    batches = parts.batch * (1 + parts.ahead)
    held = {"expression": parts.expression, "model_states": states, "batches": batches, "activations": activations}
    found = {"dataset": dataset, "taken": taken, **held, "rest": taken - sum(held.values())}
    sizes = {f"{name}_mib": round(size / MIB) for name, size in found.items()}
    return {
        "what": f"training, {model}, expression in {memory}" if memory == "memory" else f"training, {model}, on disk",
        **sizes,
        "times_dataset": round((taken - states) / dataset, 2),
        "times_dataset_without_activations": round((taken - states - activations) / dataset, 2),
    }


def write(path: Path, cells: int) -> None:
    """The simulated data as a curated file, compressed as the curation room does."""
    file = simulated(cells)
    adata = ad.AnnData(file.X, obs=file.obs, var=pd.DataFrame(index=list(file.genes)))
    adata.uns["perturbench"] = file.info.to_uns()
    adata.write_h5ad(path, compression="gzip", compression_opts=1)


def measure(cells: int = CELLS, models: tuple[str, ...] = MODELS) -> list[dict[str, Any]]:
    """All rows."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "m.h5ad")
        _run("--write", path, "--cells", str(cells))
        for model in models:
            for memory in MEMORIES:
                rows.append(json.loads(_run("--one", model, memory, path).split("PEAK")[1]))
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _run(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=CELLS)
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--write")
    parser.add_argument("--one", nargs=3)
    arguments = parser.parse_args()
    if arguments.write:
        write(Path(arguments.write), arguments.cells)
    elif arguments.one:
        model, memory, path = arguments.one
        print("PEAK" + json.dumps(measured(model, memory, Path(path))))
    else:
        print(json.dumps(measure(arguments.cells, tuple(arguments.model or MODELS))))


if __name__ == "__main__":
    main()
