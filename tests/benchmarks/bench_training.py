"""Training steps at published hyperparameters beside plain torch, and Lightning beside a bare loop.

Run ``python tests/benchmarks/bench_training.py [--large]``; prints a table and JSON. Plain torch is what the
formulas say: a dense batch through scipy, the network on every cell, the mean squared error, Adam as it comes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_loading import BATCH, GENES, plain_vectorised, simulated
from lightning import Callback, Trainer
from torch import nn

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import BatchLoader, sampling
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.mlp import mlp
from perturbench_lamin.models.published import published
from perturbench_lamin.models.registry import build

Step = Callable[[], float]


class PlainLinear(nn.Module):
    """softplus(x + W [p; c] + b)."""

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.covariates = settings.inject_covariates
        width = len(vocabulary.perturbations) + vocabulary.n_covariates * self.covariates
        self.weights = nn.Linear(width, len(vocabulary.genes))
        self.last = nn.Softplus() if settings.softplus_output else nn.Identity()

    def forward(self, x: torch.Tensor, p: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.last(x + self.weights(torch.cat([p, c], 1) if self.covariates else p))


class PlainLatentAdditive(nn.Module):
    """softplus(MLP([MLP([x; c]) + MLP(p); c]))."""

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.settings, genes, c = settings, len(vocabulary.genes), vocabulary.n_covariates
        self.cells = self._mlp(genes + c * settings.inject_covariates_encoder, settings.latent_dim)
        self.tokens = self._mlp(len(vocabulary.perturbations), settings.latent_dim)
        self.decoder = self._mlp(settings.latent_dim + c * settings.inject_covariates_decoder, genes)
        self.last = nn.Softplus() if settings.softplus_output else nn.Identity()

    def _mlp(self, n_in: int, n_out: int) -> nn.Module:
        return mlp(n_in, self.settings.encoder_width, n_out, self.settings.n_layers, dropout=self.settings.dropout)

    def forward(self, x: torch.Tensor, p: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        z = self.cells(torch.cat([x, c], 1) if self.settings.inject_covariates_encoder else x) + self.tokens(p)
        return self.last(self.decoder(torch.cat([z, c], 1) if self.settings.inject_covariates_decoder else z))


class PlainDecoderOnly(nn.Module):
    """softplus(MLP([p; c])) of every cell."""

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.settings = settings
        width = len(vocabulary.perturbations) * settings.use_perturbations
        width += vocabulary.n_covariates * settings.use_covariates
        self.decoder = mlp(width, settings.encoder_width, len(vocabulary.genes), settings.n_layers)
        self.last = nn.Softplus() if settings.softplus_output else nn.Identity()

    def forward(self, x: torch.Tensor, p: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        used = [p] * self.settings.use_perturbations + [c] * self.settings.use_covariates
        return self.last(self.decoder(torch.cat(used, 1)))


PLAIN: dict[str, type[nn.Module]] = {
    "linear": PlainLinear,
    "latent_additive": PlainLatentAdditive,
    "decoder_only": PlainDecoderOnly,
}


def split_data(cells: int) -> tuple[SplitData, Vocabulary]:
    """All cells of the simulated data as training cells."""
    file = simulated(cells)
    vocabulary = Vocabulary.from_cells(file.obs, file.genes, file.info)
    return SplitData.build(file, np.full(cells, "train", dtype=object), "train", vocabulary), vocabulary


def plain_step(name: str, model: PerturbationModel, data: SplitData, vocabulary: Vocabulary) -> Step:
    """One step of plain torch."""
    network = PLAIN[name](model.hyperparameters, vocabulary)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-8)
    batches = cycle(plain_vectorised(data))

    def step() -> float:
        target, controls, p, c = next(batches)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(controls, p, c), target)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def our_step(model: PerturbationModel, data: SplitData) -> Step:
    """One step of the package's model on its own batches, without Lightning."""
    optimizer = model.configure_optimizers()["optimizer"]
    loader = BatchLoader(sampling(model.train_sampling, data), batch_size=BATCH, seed=0, shuffle=True)
    batches = endless(loader)

    def step() -> float:
        batch = next(batches)
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def endless(loader: BatchLoader) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def seconds(step: Step) -> float:
    """How long one step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def steps(datasets: tuple[str, ...], cells: int, repeats: int) -> list[dict]:
    """Each model that has a plain twin: cells a second, ours and plain, alternating, the best of several."""
    data, vocabulary = split_data(cells)
    rows = []
    for name in PLAIN:
        for dataset in datasets:
            try:
                settings = published(name, dataset).hyperparameters
            except InputError:
                continue
            model = build(name, settings, vocabulary).train()
            ours = our_step(model, data)
            plain = plain_step(name, model, data, vocabulary)
            times: dict[str, list[float]] = {"ours": [], "plain": []}
            for _ in range(repeats):
                times["ours"] += [seconds(ours) for _ in range(2)]
                times["plain"].append(seconds(plain))
            rows.append({"what": f"training step, {name}, hyperparameters of {dataset}", **_speeds(times)})
            print(rows[-1], file=sys.stderr, flush=True)
            del model, ours, plain
    return rows


def _speeds(times: dict[str, list[float]]) -> dict[str, float]:
    ours, plain = min(times["ours"]), min(times["plain"])
    return {
        "cells_per_second": round(BATCH / ours, 1),
        "plain_cells_per_second": round(BATCH / plain, 1),
        "speedup": round(plain / ours, 2),
    }


class Clock(Callback):
    """Seconds from the start of the training epoch to the end of its last batch."""

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start."""
        self.start = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop for now."""
        self.seconds = time.perf_counter() - self.start


def lightning(cells: int, repeats: int) -> list[dict]:
    """A linear model's epoch through Lightning and through a bare loop."""
    from perturbench_lamin.training.callbacks import EpochSeed, FiniteLoss, MetricHistory
    from perturbench_lamin.training.surroundings import quiet, reproducible

    data, vocabulary = split_data(cells)
    loader = BatchLoader(sampling("control_matched", data), batch_size=BATCH, seed=0, shuffle=True)
    settings, best = published("linear", "norman19").hyperparameters, {"lightning": np.inf, "bare": np.inf}
    for _ in range(repeats):
        with quiet(), reproducible(0):
            trainer = Trainer(
                accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=1,
                callbacks=[Clock(), EpochSeed(0), FiniteLoss(Path()), MetricHistory()],
            )  # fmt: skip
            trainer.fit(build("linear", settings, vocabulary), loader, loader)
        best["lightning"] = min(best["lightning"], trainer.callbacks[0].seconds)
        step = our_step(build("linear", settings, vocabulary), data)
        best["bare"] = min(best["bare"], sum(seconds(step) for _ in range(len(loader))))
    overhead = best["lightning"] / best["bare"] - 1
    return [{"what": f"Lightning over a bare loop, linear, {len(loader)} steps", "overhead_percent": 100 * overhead}]


def measure(*, large: bool = False) -> list[dict]:
    """All rows; ``large`` adds the wider published networks."""
    rows = steps(("norman19", "srivatsan20") if large else ("norman19",), 20_000, 3 if large else 2)
    return rows + lightning(40_000, 4)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    rows = measure(large=parser.parse_args().large)
    print(f"{GENES:,} genes, batches of {BATCH:,}\n")
    for row in rows:
        print(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
