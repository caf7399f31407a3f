"""The verbs that work on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from perturbench_lamin.cli.options import assignments
from perturbench_lamin.conditions import ObsKeys

if TYPE_CHECKING:
    from perturbench_lamin.evaluation.result import Evaluation

FILE_IN = click.Path(path_type=Path, exists=True, dir_okay=False)
FILE_OUT = click.Path(path_type=Path, dir_okay=False)


def keys_options(command: Any) -> Any:
    """The options that say which obs columns hold conditions and covariates."""
    options = (
        click.option("--perturbation-key", default="condition", show_default=True, help="obs column of conditions."),
        click.option(
            "--covariate-key", "covariate_keys", multiple=True, help="obs column; may be given several times."
        ),
        click.option("--control", default="control", show_default=True, help="The value that marks control cells."),
        click.option("--delimiter", default="+", show_default=True, help="Joins a combination's parts; '' for none."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def obs_keys(perturbation_key: str, covariate_keys: tuple[str, ...], control: str, delimiter: str) -> ObsKeys:
    """The options as the package's own type."""
    return ObsKeys(perturbation_key, covariate_keys, control, delimiter or None)


@click.command()
@click.argument("source", metavar="IN.h5ad", type=FILE_IN)
@keys_options
@click.option("--hvg", default=4000, show_default=True, type=click.IntRange(0), help="Highly variable genes to keep.")
@click.option("--degs", default=25, show_default=True, type=click.IntRange(0), help="DE genes a condition to keep.")
@click.option("--min-cells", default=10, show_default=True, type=click.IntRange(0), help="Cells that express a gene.")
@click.option("--out", required=True, type=FILE_OUT, metavar="OUT.h5ad")
def preprocess(
    source: Path,
    perturbation_key: str,
    covariate_keys: tuple[str, ...],
    control: str,
    delimiter: str,
    hvg: int,
    degs: int,
    min_cells: int,
    out: Path,
) -> None:
    """Curate a file of raw counts: normalise, log, select genes.

    \b
    Example:
      perturbench-lamin preprocess raw.h5ad --perturbation-key gene --covariate-key cell_line \\
          --control NTC --hvg 2000 --degs 25 --out curated.h5ad
    """
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.curation.preprocess import preprocess_file
    from perturbench_lamin.curation.report import PreprocessParams

    keys = obs_keys(perturbation_key, covariate_keys, control, delimiter)
    params = PreprocessParams(highly_variable=hvg, degs=degs, min_cells=min_cells)
    report = preprocess_file(source, out, keys, params, progress=interactive())
    click.echo(report.table().to_string(index=False, na_rep=""))
    click.echo(f"\nWritten: {out}")


@click.command()
@click.argument("source", metavar="OBS.csv|h5ad", type=FILE_IN)
@click.option("--task", required=True, help="transfer, combine, combine-inverse, unseen, manual, …")
@keys_options
@click.option("--seed", type=int, help="Seed of the draws.")
@click.option("--max-heldout-covariates", type=int, help="States a perturbation is held out in, at most.")
@click.option("--min-train-covariates", type=int, help="States a perturbation stays in training, at least.")
@click.option("--max-heldout-fraction", type=float, help="Share held out a state.")
@click.option("--max-heldout-perturbations", type=int, help="Their number.")
@click.option("--train-control-fraction", type=float, help="Share of the control cells in training.")
@click.option("--test-fraction", type=float, help="Share of the held-out conditions in test; the rest is val.")
@click.option("--downsample-fraction", type=float, help="Share of the conditions to use at all.")
@click.option("--param", "others", multiple=True, metavar="NAME=VALUE", help="Another parameter of the task.")
@click.option("--out", required=True, type=FILE_OUT, metavar="OUT.csv")
def split(
    source: Path,
    task: str,
    perturbation_key: str,
    covariate_keys: tuple[str, ...],
    control: str,
    delimiter: str,
    others: tuple[str, ...],
    out: Path,
    **params: Any,
) -> None:
    """Assign cells to train, val and test; write two columns without a header: cell, part (empty: excluded).

    \b
    Example:
      perturbench-lamin split curated.h5ad --task combine --covariate-key cell_type --seed 42 \\
          --max-heldout-fraction 0.7 --out combine.csv
    """
    from perturbench_lamin.splitting.io import write_split
    from perturbench_lamin.splitting.obs import read_obs
    from perturbench_lamin.splitting.summary import split_summary
    from perturbench_lamin.splitting.tasks import make_split

    keys = obs_keys(perturbation_key, covariate_keys, control, delimiter)
    obs = read_obs(source)
    given = {name: value for name, value in params.items() if value is not None} | assignments(others, "--param")
    parts = make_split(obs, task, keys, given)
    write_split(parts, out)
    click.echo(split_summary(obs, parts, keys).to_string())
    click.echo(f"\nWritten: {out}")


@click.command()
@click.option("--truth", required=True, type=FILE_IN, help="Observed cells, controls included (log1p).")
@click.option("--prediction", "predictions", multiple=True, required=True, metavar="[NAME=]P.h5ad")
@keys_options
@click.option("--profile", default="perturbench", show_default=True, help="Whose metrics and definitions.")
@click.option("--training", type=FILE_IN, help="Training cells, for metrics that refer to the perturbation mean.")
@click.option(
    "--baselines", is_flag=True, help="Score the baselines that can be made from the truth and training, too."
)
@click.option("--allow-missing", is_flag=True, help="Leave conditions without a prediction out, counted.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto: on a GPU where there is one.",
)
@click.option("--report", "page", type=FILE_OUT, metavar="REPORT.html", help="Write one self-contained page, too.")
@click.option("--out", required=True, type=FILE_OUT, metavar="OUT.csv|parquet")
def evaluate(
    truth: Path,
    predictions: tuple[str, ...],
    perturbation_key: str,
    covariate_keys: tuple[str, ...],
    control: str,
    delimiter: str,
    profile: str,
    training: Path | None,
    baselines: bool,
    allow_missing: bool,
    device: str,
    page: Path | None,
    out: Path,
) -> None:
    """Score predictions (cells, or one mean row a condition) against the truth; write the long metrics table.

    Shown are the micro mean, over all conditions, and the macro mean, over the means of covariate states. The report
    has baselines beside the models, intervals, what the metrics can tell apart, and pictures.

    \b
    Example:
      perturbench-lamin evaluate --truth test.h5ad --prediction mine.h5ad --prediction baseline=mean.h5ad \\
          --covariate-key cell_type --out metrics.csv --report report.html
    """
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.evaluation.calibration import calibrate
    from perturbench_lamin.evaluation.evaluate import evaluate_files
    from perturbench_lamin.evaluation.report import write_report

    keys = obs_keys(perturbation_key, covariate_keys, control, delimiter)
    result = evaluate_files(
        truth,
        _named(predictions),
        keys,
        profile,
        out=out,
        training=training,
        allow_missing=allow_missing,
        baselines=baselines or page is not None,
        progress=interactive(),
        device=device,
    )
    if page:
        write_report(result, page, calibration=calibrate(truth, keys, profile, training=training, device=device))
    click.echo(_summary(result))
    click.echo(f"\nComputed on: {result.device}")
    for note in result.notes:
        click.secho(f"Note: {note}", fg="yellow", err=True)
    click.echo(f"\nWritten: {out}" + (f" and {page}" if page else ""))


@click.command()
@click.argument("tables", nargs=-1, required=True, type=FILE_IN)
@click.option("--perturbation-key", default="condition", show_default=True, help="Column of conditions.")
@click.option("--metric", "metrics", multiple=True, help="Show these alone, in this order; all by default.")
@click.option(
    "--average",
    type=click.Choice(["micro", "macro"]),
    default="micro",
    show_default=True,
    help="Over all conditions, or over the means of covariate states.",
)
@click.option("--markdown", is_flag=True, help="Show a Markdown table, the best in bold.")
@click.option("--out", type=FILE_OUT, metavar="OUT.csv|parquet|md", help="Write it as a table, too.")
@click.option("--figure", type=FILE_OUT, metavar="OUT.png|svg", help="Draw it, too.")
def leaderboard(
    tables: tuple[Path, ...],
    perturbation_key: str,
    metrics: tuple[str, ...],
    average: Literal["micro", "macro"],
    markdown: bool,
    out: Path | None,
    figure: Path | None,
) -> None:
    """Mean ± standard deviation over seeds of metrics TABLES (.csv or .parquet), by model and metric.

    \b
    Example:
      perturbench-lamin leaderboard seed1.csv seed2.csv --out board.csv --figure board.png
    """
    import pandas as pd

    from perturbench_lamin.evaluation import leaderboard as boards
    from perturbench_lamin.evaluation.figure import leaderboard_figure
    from perturbench_lamin.evaluation.result import write_table
    from perturbench_lamin.files import atomic_path, write_text

    read = [pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path) for path in tables]
    board = boards.leaderboard(pd.concat(read, ignore_index=True), average=average, condition=perturbation_key)
    chosen = metrics or None
    if markdown:
        click.echo(boards.to_markdown(board, chosen), nl=False)
    else:
        click.echo(boards.to_text(board, chosen).to_string(index=False))
    if out and out.suffix == ".md":
        write_text(out, boards.to_markdown(board, chosen))
    elif out:
        write_table(board, out)
    if figure:
        with atomic_path(figure) as temporary:
            leaderboard_figure(board, chosen).savefig(temporary, dpi=120)
    if out or figure:
        click.echo(f"\nWritten: {' and '.join(str(path) for path in (out, figure) if path)}")


def _summary(result: Evaluation) -> str:
    """The means by the names that the documentation gives them; the challenge's score where it can be had."""
    from perturbench_lamin.evaluation.challenge import MEAN_BASELINE, challenge_score

    summary = result.summary()
    shown = summary.rename(columns={"mean": "micro mean", "macro_mean": "macro mean", "n_nan": "undefined"})
    text: str = shown.to_string(index=False)
    if result.profile.name != "vcc" or MEAN_BASELINE not in set(summary["model"]):
        return text
    return f"{text}\n\nVirtual Cell Challenge score\n{challenge_score(summary).to_string(index=False)}"


def _named(predictions: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=path`` or a path, whose stem is the name then."""
    from perturbench_lamin.errors import InputError

    named: dict[str, Path] = {}
    for given in predictions:
        name, found, path = given.partition("=")
        if not found or Path(given).exists():
            name, path = Path(given).stem, given
        if name in named:
            raise InputError(f"Two predictions are named {name!r}", where="--prediction", fix="Give them as NAME=FILE.")
        if not Path(path).is_file():
            raise InputError("No such file", where=path, fix="Give --prediction FILE or NAME=FILE.")
        named[name] = Path(path)
    return named
