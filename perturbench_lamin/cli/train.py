"""The verb that trains on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.training_options import FILE_IN, FOLDER_OUT, configuration, configuration_options

if TYPE_CHECKING:
    from perturbench_lamin.training.fit import FitResult


@click.command()
@click.argument("curated", metavar="CURATED.h5ad", type=FILE_IN)
@click.option("--split", "split_file", required=True, type=FILE_IN, metavar="SPLIT.csv", help="Made by split.")
@configuration_options
@click.option("--seed", type=click.IntRange(0), help="Of weights, order of cells, control draws and dropout.")
@click.option("--out", required=True, type=FOLDER_OUT, metavar="FOLDER", help="For checkpoints and the history.")
def train(
    curated: Path,
    split_file: Path,
    model: str | None,
    preset: str | None,
    file: Path | None,
    changes: tuple[str, ...],
    max_epochs: int | None,
    accelerator: str | None,
    seed: int | None,
    out: Path,
) -> None:
    """Train a model on a curated file and a split. The same command after a kill goes on from the last epoch.

    \b
    Examples:
      perturbench-lamin train curated.h5ad --split combine.csv --model linear --preset quick --out runs/linear
      perturbench-lamin train curated.h5ad --split combine.csv --model latent_additive \\
          --set encoder_width=512 --set batch_size=1000 --seed 1 --accelerator gpu --out runs/latent-1
    """
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.loading.header import read_header
    from perturbench_lamin.splitting.io import read_split
    from perturbench_lamin.training.file_provenance import file_provenance
    from perturbench_lamin.training.fit import fit

    header = read_header(curated)
    config = configuration(
        model, preset, file, changes, header.info.dataset, seed=seed, max_epochs=max_epochs, accelerator=accelerator
    )
    split = read_split(split_file, header.obs.index)
    words = file_provenance(curated, split_file)
    _tell(fit(curated, split, config, out, provenance=words, progress=interactive()))


def _tell(result: FitResult) -> None:
    history = result.history
    resumed = f", {result.resumed_from} of them before an interruption" if result.resumed_from else ""
    best = history.loc[history["val_loss"].idxmin()]
    click.echo(f"{len(history)} epochs{resumed}; ended by {result.stopped}.")
    click.echo(f"Best validation loss {best['val_loss']:.6g} in epoch {int(best['epoch']) + 1}.")
    click.echo(f"\nWritten: {result.best_checkpoint}")
