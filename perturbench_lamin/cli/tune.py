"""The verb that searches hyperparameters on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.paths import FILE_IN, FolderOut
from perturbench_lamin.cli.training_options import SETTINGS, Choice, choice_options, settings_options

if TYPE_CHECKING:
    import optuna

    from perturbench_lamin.training.tune_config import Search


MADE = FolderOut("study.journal", "trials.csv", "best.json", "study.png", "winner.csv")

_search, _study, _winner = under("Search"), under("Study"), under("Winner")


@click.command(cls=Verb)
@click.argument("curated", metavar="CURATED.h5ad", type=FILE_IN)
@click.option("--split", "split_file", required=True, type=FILE_IN, metavar="SPLIT.csv", help="Made by split.")
@click.option("--out", required=True, type=MADE, metavar="FOLDER", help="One for all processes of a study.")
@choice_options
@settings_options({name: option for name, option in SETTINGS.items() if name != "devices"})
@_search("--space", type=FILE_IN, metavar="FILE.json", help="What to vary.  [default: the published space]")
@_search("--trials", metavar="N", default=60, show_default=True, type=click.IntRange(1), help="Of the whole study.")
@_search(
    "--seed",
    metavar="N",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the suggestions; of each trial's training: --set seed=N.",
)
@_search("--rank-weight", metavar="W", default=0.1, show_default=True, type=float, help="In RMSE + W · RMSE rank.")
@_search(
    "--pruner",
    type=click.Choice(["median", "hyperband", "none"]),
    default="median",
    show_default=True,
    help="Ends hopeless trials early.",
)
@_search("--warmup-epochs", metavar="N", default=5, show_default=True, type=click.IntRange(0), help="Without pruning.")
@_study(
    "--jobs",
    metavar="N",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Trials at a time; each takes the next GPU.",
)
@_study("--storage", metavar="URL", help="A database, such as sqlite:///study.db.  [default: a file in FOLDER]")
@_study("--take-over", is_flag=True, help="Do trials again that other machines have left running.")
@_winner("--search-only", is_flag=True, help="Leave the winner alone: for further processes of a study.")
@_winner(
    "--test-seed",
    "test_seeds",
    metavar="N",
    multiple=True,
    type=click.IntRange(0),
    help="To train the winner with; may be given several times.  [default: 1, 2, 3, 4]",
)
def tune(
    curated: Path,
    split_file: Path,
    out: Path,
    choice: Choice,
    settings: dict[str, Any],
    space: Path | None,
    trials: int,
    seed: int,
    rank_weight: float,
    pruner: str,
    warmup_epochs: int,
    jobs: int,
    storage: str | None,
    take_over: bool,
    search_only: bool,
    test_seeds: tuple[int, ...],
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
    base = choice.configuration(header.info.dataset, **settings)
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
    trials = "trial" if len(table) == 1 else "trials"
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()) + f" {trials}. The best:")
    best = table.nsmallest(1, "objective")[["objective", "fit", "rank", *task.config.space]]
    click.echo(best.to_string(index=False))
    click.echo(f"\nWritten: {files.best}, {files.trials} and {files.picture}")


def _test(task: Search, seeds: tuple[int, ...], progress: bool) -> None:
    """Train the winner with each seed, and show how it does on test."""
    from perturbench_lamin.errors import many
    from perturbench_lamin.evaluation.leaderboard import to_text
    from perturbench_lamin.training.config_file import read_config
    from perturbench_lamin.training.study_results import BEST
    from perturbench_lamin.training.winner import BOARD, train_winner

    config = read_config(task.folder / BEST)
    board = train_winner(task.curated_path, task.split, config, seeds, task.folder, progress=progress)
    click.echo(f"\nOn test, mean ± standard deviation over {many(len(seeds), 'seed')}:\n")
    click.echo(to_text(board).to_string(index=False))
    click.echo(f"\nWritten: {task.folder / BOARD}")
