"""The verb that begins a dataset outside the package."""

from __future__ import annotations

from pathlib import Path

import click

from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.options import project_folder
from perturbench_lamin.cli.paths import FolderOut

_file = under("Deposited file")


@click.command(name="new-dataset", cls=Verb)
@click.argument("name")
@click.option(
    "--out", type=FolderOut(), metavar="FOLDER", default=Path(), help="The project's.  [default: the working directory]"
)
@click.option("--task", default="transfer", show_default=True, metavar="TASK", help="Splitting method of the main one.")
@click.option(
    "--system", metavar="SYSTEM", default="", help="How genes were perturbed: CRISPRi, CRISPRa, CRISPR-Cas9, …"
)
@_file("--raw-file", required=True, metavar="NAME.h5ad", help="Its name.")
@_file("--perturbation-key", required=True, metavar="COLUMN", help="Its column of perturbations.")
@_file("--control", required=True, metavar="VALUE", help="Their value in control cells.")
@_file("--delimiter", metavar="TEXT", default="+", show_default=True, help="Joins a combination's parts there.")
@_file(
    "--covariate-key",
    "covariates",
    metavar="COLUMN[=NAME]",
    multiple=True,
    required=True,
    help="A column of covariates, and its name after curation, such as line=cell_type; may be given several times.",
)
@_file("--layer", metavar="LAYER", default="X", show_default=True, help="Where its counts are.")
def new_dataset(
    name: str,
    out: Path,
    task: str,
    system: str,
    raw_file: str,
    perturbation_key: str,
    control: str,
    delimiter: str,
    covariates: tuple[str, ...],
    layer: str,
) -> None:
    """Begin the dataset NAME in a folder of your own: its file, its two notebooks, and those that all share.

    Without --system perturbations are compounds. Called in that folder, run, browse, compare and leaderboard know it.

    \b
    Example:
      perturbench-lamin new-dataset mylab24 --raw-file screen.h5ad --perturbation-key guide --control NTC \\
          --covariate-key line=cell_type --layer counts --system CRISPRi
    """
    from perturbench_lamin.catalog import new_dataset as scaffold
    from perturbench_lamin.errors import InputError, nearest
    from perturbench_lamin.splitting.tasks import TASKS

    if task not in TASKS:
        raise InputError(f"Unknown task {task!r}", where="--task", fix=nearest(task, TASKS))
    renamed = {word.partition("=")[0]: word.partition("=")[2] or word for word in covariates}
    layout = scaffold.Layout(raw_file, perturbation_key, control, delimiter, renamed, layer, task, system)
    for path in scaffold.new_dataset(name, out, layout, project_folder()):
        click.echo(f"Written: {path}")
    click.echo(f"\nPut {raw_file} into a subfolder {name}/ of a folder of raw files, and call in {out}:\n")
    click.echo(f"  perturbench-lamin run {name} --raw FOLDER-OF-RAW-FILES")
