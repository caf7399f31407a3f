"""The verb that trains on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.command import Verb
from perturbench_lamin.cli.paths import FILE_IN, FolderOut
from perturbench_lamin.cli.training_options import SEED, SETTINGS, Choice, choice_options, settings_options

if TYPE_CHECKING:
    from perturbench_lamin.training.fit import FitResult


MADE = FolderOut("best.ckpt", "last.ckpt", "history.csv", "training.json", "result.json")


@click.command(cls=Verb)
@click.argument("curated", metavar="CURATED.h5ad", type=FILE_IN)
@click.option("--split", "split_file", required=True, type=FILE_IN, metavar="SPLIT.csv", help="Made by split.")
@click.option("--out", required=True, type=MADE, metavar="FOLDER", help="For checkpoints and the history.")
@click.option(
    "--resume/--no-resume",
    default=None,
    help="Insist on going on with the training in FOLDER, or start anew.  [default: go on where it is the same]",
)
@choice_options
@settings_options({**SETTINGS, "seed": SEED})
def train(
    curated: Path,
    split_file: Path,
    out: Path,
    resume: bool | None,
    choice: Choice,
    settings: dict[str, Any],
) -> None:
    """Train a model on a curated file and a split. The same command after a kill goes on from the last epoch.

    \b
    Examples:
      perturbench-lamin train curated.h5ad --split combine.csv --model linear --preset quick --out runs/linear
      perturbench-lamin train curated.h5ad --split combine.csv --model latent_additive --batch-size 1000 \\
          --set encoder_width=512 --seed 1 --accelerator gpu --precision bf16-mixed --out runs/latent-1
    """
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.loading.header import read_header
    from perturbench_lamin.splitting.io import read_split
    from perturbench_lamin.training.file_provenance import file_provenance
    from perturbench_lamin.training.fit import fit

    header = read_header(curated)
    config = choice.configuration(header.info.dataset, **settings)
    split = read_split(split_file, header.obs.index)
    words = file_provenance(curated, split_file)
    _tell(fit(curated, split, config, out, provenance=words, progress=interactive(), resume=resume))


def _tell(result: FitResult) -> None:
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from perturbench_lamin.errors import many

    if rank_zero_only.rank:  # one of several processes says it for all
        return
    history = result.history
    resumed = f", {result.resumed_from} of them before an interruption" if result.resumed_from else ""
    best = history.loc[history["val_loss"].idxmin()]
    click.echo(f"{many(len(history), 'epoch')}{resumed}; ended by {result.stopped}.")
    click.echo(f"Best validation loss {best['val_loss']:.6g} in epoch {int(best['epoch']) + 1}.")
    if result.memory:
        click.echo(f"{result.memory}.")
    click.echo(f"\nWritten: {result.best_checkpoint}")
