"""The verb that searches hyperparameters on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.training_options import FILE_IN, FOLDER_OUT, configuration, configuration_options

if TYPE_CHECKING:
    import optuna

    from perturbench_lamin.training.tune_config import Search


@click.command()
@click.argument("curated", metavar="CURATED.h5ad", type=FILE_IN)
@click.option("--split", "split_file", required=True, type=FILE_IN, metavar="SPLIT.csv", help="Made by split.")
@configuration_options
@click.option("--space", type=FILE_IN, metavar="FILE.json", help="What to vary.  [default: the published space]")
@click.option("--trials", default=60, show_default=True, type=click.IntRange(1), help="Of the whole study.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Trials at a time, each a process.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the suggestions.")
@click.option("--rank-weight", default=0.1, show_default=True, type=float, help="In RMSE + weight · RMSE rank.")
@click.option("--pruner", type=click.Choice(["median", "hyperband", "none"]), default="median", show_default=True)
@click.option("--warmup-epochs", default=5, show_default=True, type=click.IntRange(0), help="Without pruning.")
@click.option("--storage", metavar="URL", help="A database, such as sqlite:///study.db.  [default: a file in FOLDER]")
@click.option("--take-over", is_flag=True, help="Do trials again that other machines have left running.")
@click.option("--search-only", is_flag=True, help="Leave the winner alone: for further processes of a study.")
@click.option("--test-seed", "test_seeds", multiple=True, type=click.IntRange(0), help="[default: 1, 2, 3, 4]")
@click.option("--out", required=True, type=FOLDER_OUT, metavar="FOLDER", help="One for all processes of a study.")
def tune(
    curated: Path,
    split_file: Path,
    model: str | None,
    preset: str | None,
    file: Path | None,
    changes: tuple[str, ...],
    max_epochs: int | None,
    accelerator: str | None,
    space: Path | None,
    trials: int,
    jobs: int,
    seed: int,
    rank_weight: float,
    pruner: str,
    warmup_epochs: int,
    storage: str | None,
    take_over: bool,
    search_only: bool,
    test_seeds: tuple[int, ...],
    out: Path,
) -> None:
    """Search hyperparameters on validation, then train the winner with further seeds and score it on test.

    Any number of processes may share a study: call the command again with the same FOLDER. After a kill the same
    command goes on.

    \b
    Example:
      perturbench-lamin tune curated.h5ad --split combine.csv --model linear --trials 60 --jobs 2 --out study
    """
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.loading.header import read_header
    from perturbench_lamin.splitting.io import read_split
    from perturbench_lamin.training.search_space import read_space, search_space
    from perturbench_lamin.training.tune import search
    from perturbench_lamin.training.tune_config import Search, TuneConfig

    header = read_header(curated)
    base = configuration(
        model, preset, file, changes, header.info.dataset, max_epochs=max_epochs, accelerator=accelerator
    )
    split = read_split(split_file, header.obs.index)
    varied = read_space(space, base.model) if space else search_space(base.model)
    config = TuneConfig(base, varied, trials, rank_weight, seed, pruner, warmup_epochs)
    task = Search(curated, split, config, out, storage)
    _report(task, search(task, jobs=jobs, elsewhere=take_over, progress=interactive()))
    if not search_only:
        _test(task, test_seeds or (1, 2, 3, 4), interactive())


def _report(task: Search, study: optuna.Study) -> None:
    """Write the study's files and say what is best."""
    from perturbench_lamin.training.study_results import trials_table, write_study

    files = write_study(study, task.config, task.folder)
    table = trials_table(study, task.config.space)
    counts = table["state"].value_counts()
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()) + " trials. The best:")
    best = table.nsmallest(1, "objective")[["objective", "fit", "rank", *task.config.space]]
    click.echo(best.to_string(index=False))
    click.echo(f"\nWritten: {files.best}, {files.trials} and {files.picture}")


def _test(task: Search, seeds: tuple[int, ...], progress: bool) -> None:
    """Train the winner with each seed, and show how it does on test."""
    from perturbench_lamin.evaluation.leaderboard import to_text
    from perturbench_lamin.training.config_file import read_config
    from perturbench_lamin.training.study_results import BEST
    from perturbench_lamin.training.winner import BOARD, train_winner

    config = read_config(task.folder / BEST)
    board = train_winner(task.curated_path, task.split, config, seeds, task.folder, progress=progress)
    click.echo(f"\nOn test, mean ± standard deviation over {len(seeds)} seeds:\n")
    click.echo(to_text(board).to_string(index=False))
    click.echo(f"\nWritten: {task.folder / BOARD}")
