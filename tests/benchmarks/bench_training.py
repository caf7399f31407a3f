"""Training steps at published hyperparameters beside plain torch, and Lightning beside a bare loop.

Run ``python tests/benchmarks/bench_training.py [--large] [--only WORD]``; prints a table and JSON. Plain torch is
what the formulas say (``plain_models.py``): a dense batch through scipy, every network on every cell, Adam as it comes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_loop import BareLoop
from bench_loading import GENES, simulated
from lightning import Callback
from plain_models import PLAIN, Cells, copy_weights, twin

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import BatchLoader, sampling
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.packed_rows import PackedRows, worth_packing
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.published import Published, published
from perturbench_lamin.models.registry import build

SECONDS = 10.0
"""How long one row is measured, at least twice and at most seven times."""

VARIANTS = {
    "linear": ("",),
    "latent_additive": ("",),
    "decoder_only": ("", "covariates_only", "perturbations_only"),
    "cpa": ("", "no_adversary"),
    "sams_vae": ("", "s"),
    "biolord": ("",),
}
"""Model → its variants, see :func:`~perturbench_lamin.models.published.published`."""

Turn = Callable[[], int]
"""Trains on the batches of one turn and says how many cells these had."""


def split_data(cells: int) -> tuple[SplitData, Vocabulary]:
    """All cells of the simulated data as training cells."""
    file = simulated(cells)
    vocabulary = Vocabulary.from_cells(file.obs, file.genes, file.info)
    return SplitData.build(file, np.full(cells, "train", dtype=object), "train", vocabulary), vocabulary


def plain_batches(data: SplitData, kind: str, size: int) -> Iterator[Cells]:
    """Full dense batches without end: random rows through scipy and ``toarray``, a control drawn for each if asked."""
    targets = np.arange(len(data)) if kind == "disentanglement" else np.flatnonzero(~data.is_control)
    for epoch in count():
        rng = np.random.default_rng(epoch)
        order = rng.permutation(targets)
        for start in range(0, len(order) - size + 1, size):
            cells = order[start : start + size]
            target = torch.from_numpy(data.X[data.rows[cells]].toarray())
            x = target
            if kind == "control_matched":
                x = torch.from_numpy(data.X[data.controls.draw(data.state[cells], rng)].toarray())
            yield Cells(
                target,
                x,
                torch.from_numpy(data.perturbations[data.condition[cells]]),
                torch.from_numpy(data.covariates[data.state[cells]]),
            )


def as_trained(data: SplitData) -> SplitData:
    """The data as a training in memory holds them."""
    return replace(data, X=PackedRows.of(data.X)) if worth_packing() else data


def full_batches(loader: BatchLoader) -> Iterator[Any]:
    """Epoch after epoch, without small last batches."""
    for epoch in count():
        loader.set_epoch(epoch)
        yield from (batch for batch in loader if len(batch) == loader.batch_size)


def turns(name: str, chosen: Published, data: SplitData, vocabulary: Vocabulary) -> dict[str, Turn]:
    """Ours and plain, from the same weights, each with its own batches.

    A turn is one batch; of CPA's adversary, after the warm-up, as many as it takes to train both once.
    """
    model = build(name, chosen.hyperparameters, vocabulary)
    size, settings = chosen.training["batch_size"], model.hyperparameters
    batches_a_turn = settings.adv_steps if getattr(settings, "use_adversary", False) else 1
    tokens = data.cells_with_token()
    loop, plain = BareLoop(model, 10_000, tokens), twin(name, settings, vocabulary, tokens)
    copy_weights(model, plain)
    plain.start()
    loader = BatchLoader(sampling(model.train_sampling, as_trained(data)), batch_size=size, seed=0, shuffle=True)

    def turn(step: Callable[[Any, int], float], batches: Iterator[Any]) -> Turn:
        def take() -> int:
            for number in range(batches_a_turn):
                step(next(batches), number)
            return size * batches_a_turn

        return take

    return {
        "ours": turn(loop.step, full_batches(loader)),
        "plain": turn(plain.step, plain_batches(data, plain.sampling, size)),
    }


def seconds(turn: Turn) -> float:
    """How long a cell takes."""
    start = time.perf_counter()
    cells = turn()
    return (time.perf_counter() - start) / cells


def chosen_set(name: str, dataset: str, variant: str) -> Published | None:
    """The published set; the set of all inputs where only perturbations are to be seen; None where there is none."""
    known = variant if variant != "perturbations_only" else ""
    try:
        found = published(name, dataset, known or None)
    except InputError:
        return None
    if known == variant:
        return found
    if not found.hyperparameters.get("use_covariates", True):
        return None  # that is the published set itself
    return replace(found, hyperparameters={**found.hyperparameters, "use_covariates": False})


def steps(datasets: tuple[str, ...], cells: int, only: str = "") -> list[dict]:
    """Cells a second of each model at each dataset's hyperparameters and batch size, ours and plain in turn.

    The best of several turns each: the machine's speed drifts.
    """
    data, vocabulary = split_data(cells)
    rows = []
    for dataset in datasets:
        for name in PLAIN:
            for variant in VARIANTS[name]:
                what = " ".join(filter(None, (name, variant)))
                chosen = chosen_set(name, dataset, variant)
                if chosen is None or only not in what:
                    continue
                rows.append(
                    {
                        "what": f"training step, {what}, hyperparameters of {dataset}",
                        "batch": chosen.training["batch_size"],
                        **_speeds(_timed(turns(name, chosen, data, vocabulary))),
                    }
                )
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _timed(turns: Mapping[str, Turn]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in turns}
    start = time.perf_counter()
    while len(times["ours"]) < 2 or (len(times["ours"]) < 7 and time.perf_counter() - start < SECONDS):
        for name, turn in turns.items():
            times[name].append(seconds(turn))
    return times


def _speeds(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    ours, plain = min(times["ours"]), min(times["plain"])
    return {
        "cells_per_second": round(1 / ours, 1),
        "plain_cells_per_second": round(1 / plain, 1),
        "speedup": round(plain / ours, 2),
    }


class Pairs(Callback):
    """Seconds of each step under Lightning, from the batch to the last callback, and of a bare step right after it.

    A pair meets the same machine, however its speed drifts. The first pair of an epoch is left out: Lightning's has
    the epoch's start.

    Args:
        bare: takes a bare step.
    """

    def __init__(self, bare: Turn) -> None:
        self.bare = bare
        self.lightning_seconds: list[float] = []
        self.bare_seconds: list[float] = []

    def on_train_batch_end(self, trainer: Any, model: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End Lightning's step, take a bare one, begin the next."""
        end = time.perf_counter()
        torch.use_deterministic_algorithms(False)  # a bare loop has what torch has
        self.bare()
        torch.use_deterministic_algorithms(True)
        after = time.perf_counter()
        if batch_idx:
            self.lightning_seconds.append(end - self.start)
            self.bare_seconds.append(after - end)
        self.start = time.perf_counter()


def lightning(cells: int, epochs: int) -> list[dict]:
    """A linear model's steps, in a training as ``fit`` has it, and in a bare loop, step by step in turn."""
    from perturbench_lamin.training.config import TrainConfig
    from perturbench_lamin.training.run_folder import RunFolder
    from perturbench_lamin.training.surroundings import quiet, reproducible
    from perturbench_lamin.training.trainer import Callbacks, ModelCheckpoint, trainer_of

    data, vocabulary = split_data(cells)
    chosen = published("linear", "norman19")
    size = chosen.training["batch_size"]
    config = TrainConfig("linear", chosen.hyperparameters, max_epochs=epochs, batch_size=size, accelerator="cpu")

    def loader() -> BatchLoader:
        return BatchLoader(sampling("control_matched", as_trained(data)), batch_size=size, seed=0, shuffle=True)

    loop = BareLoop(build("linear", chosen.hyperparameters, vocabulary))
    batches = full_batches(loader())
    pairs = Pairs(lambda: int(loop.step(next(batches), 0)))
    with tempfile.TemporaryDirectory() as name, quiet(), reproducible(0):
        folder, model = RunFolder(Path(name)), build("linear", chosen.hyperparameters, vocabulary)
        own = Callbacks.make(config, folder, ModelCheckpoint)
        trainer = trainer_of(model, config, folder, [*own.ordered(), pairs], None, False)
        trainer.limit_train_batches, trainer.limit_val_batches = len(loader()) - 1, 1  # full batches alone
        trainer.fit(model, loader(), loader())
    return [overhead(np.array(pairs.lightning_seconds), np.array(pairs.bare_seconds))]


def overhead(under_lightning: np.ndarray, bare: np.ndarray) -> dict[str, Any]:
    """The median overhead over pairs of steps, with a 95 % interval of that median by resampling the pairs."""
    ratios = 100 * (under_lightning / bare - 1)
    medians = np.median(np.random.default_rng(0).choice(ratios, (2_000, len(ratios))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return {
        "what": f"Lightning over a bare loop, linear, {len(ratios)} pairs of steps",
        "overhead_percent": round(float(np.median(ratios)), 2),
        "overhead_interval": f"{low:.2f} to {high:.2f}",
        "step_milliseconds": round(1000 * float(np.median(bare)), 1),
    }


def measure(*, large: bool = False, only: str = "") -> list[dict]:
    """All rows; ``large`` adds other datasets' hyperparameters.

    Args:
        large: whether to take half an hour instead of minutes.
        only: measure only the steps of models whose name and variant have this in them, and nothing else.
    """
    rows = steps(("norman19", "srivatsan20", "mcfaline24") if large else ("norman19",), 20_000, only)
    return rows if only else [*rows, *lightning(60_000, 10)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", default="", help="a model's name, or a part of it and of its variant")
    arguments = parser.parse_args()
    rows = measure(large=arguments.large, only=arguments.only)
    print(f"{GENES:,} genes\n")
    for row in rows:
        print(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
