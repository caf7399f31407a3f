"""The verbs that work on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.options import assignments, keys_options
from perturbench_lamin.cli.paths import CELLS_IN, FILE_IN, PICTURE_OUT, TABLE_OUT, FileOut
from perturbench_lamin.evaluation.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from perturbench_lamin.conditions import ObsKeys
    from perturbench_lamin.evaluation.result import Evaluation

_genes, _counts, _task, _scoring = under("Genes"), under("Counts"), under("Parameters of the task"), under("Scores")
_truth = under("Truth")
KEYS = ("perturbation_key", "covariate_keys", "control", "delimiter")


@click.command(cls=Verb)
@click.argument("source", metavar="IN.h5ad", type=CELLS_IN)
@click.option("--out", required=True, type=FileOut(), metavar="OUT.h5ad", help="The file to write.")
@keys_options
@_genes("--hvg", metavar="N", default=4000, show_default=True, type=click.IntRange(0), help="Highly variable, to keep.")
@_genes(
    "--degs",
    metavar="N",
    default=25,
    show_default=True,
    type=click.IntRange(0),
    help="Differentially expressed, of each condition, to keep.",
)
@_genes(
    "--min-cells",
    metavar="N",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="Genes expressed in fewer cells are left out.",
)
@_counts("--layer", metavar="NAME", help="Where they are: a layer, X, or raw for raw.X.  [default: counts, or X]")
@_counts(
    "--target-sum",
    metavar="N",
    type=click.FloatRange(0, min_open=True),
    help="What those of a cell are scaled to.  [default: the median over all cells]",
)
def preprocess(
    source: Path,
    keys: ObsKeys,
    hvg: int,
    degs: int,
    min_cells: int,
    layer: str | None,
    target_sum: float | None,
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

    params = PreprocessParams(highly_variable=hvg, degs=degs, min_cells=min_cells, target_sum=target_sum)
    report = preprocess_file(source, out, keys, params, layer=layer, progress=interactive())
    click.echo(report.table().to_string(index=False, na_rep=""))
    click.echo(f"\nWritten: {out}")


def _tasks() -> Iterator[tuple[str, str]]:
    from perturbench_lamin.splitting.tasks import TASKS

    for name, task in TASKS.items():
        yield name, task.summary


@click.command(cls=Verb, lists=[("Tasks", _tasks)])
@click.argument("source", metavar="OBS.csv|tsv|h5ad", type=CELLS_IN)
@click.option("--task", required=True, metavar="TASK", help="One of those above.")
@click.option("--out", required=True, type=FileOut(), metavar="OUT.csv", help="The file to write.")
@keys_options
@_task("--seed", metavar="N", type=int, help="Of the draws.")
@_task("--max-heldout-covariates", metavar="N", type=int, help="States a perturbation is held out in, at most.")
@_task("--min-train-covariates", metavar="N", type=int, help="States a perturbation stays in training, at least.")
@_task("--max-heldout-fraction", metavar="F", type=float, help="Share of a state's conditions held out, at most.")
@_task("--max-heldout-perturbations", metavar="N", type=int, help="Their number, at most.")
@_task("--train-control-fraction", metavar="F", type=float, help="Share of the control cells in training.")
@_task("--test-fraction", metavar="F", type=float, help="Share of the held-out conditions in test; the rest is val.")
@_task("--downsample-fraction", metavar="F", type=float, help="Share of the conditions to use at all.")
@_task("--param", "others", multiple=True, metavar="NAME=VALUE", help="Another parameter of the task.")
@click.option(
    "--keep-unpredictable",
    is_flag=True,
    help="Leave the draw as it is: do not exclude held-out conditions of perturbations that training lacks.",
)
def split(
    source: Path,
    task: str,
    keys: ObsKeys,
    others: tuple[str, ...],
    keep_unpredictable: bool,
    out: Path,
    **params: Any,
) -> None:
    """Assign cells to train, val and test; write two columns without a header: cell, part (empty: excluded).

    A held-out condition of a perturbation that no training cell has cannot be predicted: it is excluded, and listed,
    as in a chain. The task unseen asks for such conditions, and keeps them.

    \b
    Example:
      perturbench-lamin split curated.h5ad --task combine --covariate-key cell_type --seed 42 \\
          --max-heldout-fraction 0.7 --out combine.csv
    """
    from perturbench_lamin.splitting.every_task import make_frozen_split
    from perturbench_lamin.splitting.io import write_split
    from perturbench_lamin.splitting.obs import read_obs
    from perturbench_lamin.splitting.summary import excluded_pairs, split_summary

    obs = read_obs(source)
    given = {name: value for name, value in params.items() if value is not None} | assignments(others, "--param")
    made = make_frozen_split(obs, task, keys, given, keep_unpredictable=keep_unpredictable, where=source)
    write_split(made.parts, out)
    click.echo(split_summary(obs, made.parts, keys).to_string())
    _tell_excluded(excluded_pairs(obs, made.parts, keys))
    if not made.excluded.empty:
        click.echo("Of these, no model can predict:")
        click.echo(made.excluded.to_string(index=False))
    click.echo(f"\nWritten: {out}")


def _profiles() -> Iterator[tuple[str, str]]:
    for profile in PROFILES.values():
        yield profile.name, profile.description


@click.command(cls=Verb, lists=[("Profiles", _profiles)])
@_truth("--truth", type=CELLS_IN, metavar="T.h5ad", help="Observed cells, with controls (log1p).")
@_truth(
    "--curated",
    type=CELLS_IN,
    metavar="CURATED.h5ad",
    help="Instead: one part of this file. The columns are the file's own; its training cells are --training.",
)
@_truth("--split", "split_file", type=FILE_IN, metavar="SPLIT.csv", help="Of the curated file.")
@_truth("--part", type=click.Choice(["test", "val"]), help="Of the split, with --curated.  [default: test]")
@click.option(
    "--prediction",
    "predictions",
    multiple=True,
    required=True,
    metavar="[NAME=]P.h5ad",
    help="In the same form; may be given several times. The name is the model's.",
)
@click.option("--out", required=True, type=TABLE_OUT, metavar="OUT.csv|parquet", help="The table to write.")
@click.option("--report", "page", type=FileOut(), metavar="REPORT.html", help="Write one self-contained page, too.")
@keys_options
@_scoring(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="perturbench",
    show_default=True,
    help="Which metrics, by whose definitions.",
)
@_scoring("--training", type=CELLS_IN, metavar="T.h5ad", help="Training cells, for metrics that refer to their mean.")
@_scoring("--baselines", is_flag=True, help="Score the baselines that can be made from the truth and training, too.")
@_scoring("--allow-missing", is_flag=True, help="Leave conditions without a prediction out, counted.")
@under("Hardware")(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What computes; auto: a GPU where there is one.",
)
def evaluate(
    truth: Path | None,
    curated: Path | None,
    split_file: Path | None,
    part: str | None,
    predictions: tuple[str, ...],
    keys: ObsKeys,
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
      perturbench-lamin evaluate --curated curated.h5ad --split combine.csv --prediction latent.h5ad --out metrics.csv
    """
    _require_one_truth(truth, curated, split_file, part)
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.evaluation.calibration import calibrate
    from perturbench_lamin.evaluation.evaluate import evaluate as score
    from perturbench_lamin.evaluation.report import write_report
    from perturbench_lamin.loading.observed import read_observed

    named = _named(predictions)
    observed: Any = truth
    cells: Any = training
    if curated is not None and split_file is not None:
        observed, trained, keys = read_observed(curated, split_file, part or "test")
        cells = training or trained
    result = score(
        observed,
        named,
        keys,
        profile,
        training=cells,
        allow_missing=allow_missing,
        baselines=baselines or page is not None,
        progress=interactive(),
        device=device,
    )
    result.write(out)
    if page:
        write_report(result, page, calibration=calibrate(observed, keys, profile, training=cells, device=device))
    click.echo(_summary(result))
    click.echo(f"\nComputed on: {result.device}")
    for note in result.notes:
        click.secho(f"Note: {note}", fg="yellow", err=True)
    click.echo(f"\nWritten: {out}" + (f" and {page}" if page else ""))


@click.command(cls=Verb)
@click.argument("tables", nargs=-1, required=True, type=FILE_IN)
@click.option(
    "--perturbation-key", metavar="COLUMN", default="condition", show_default=True, help="Column of conditions."
)
@click.option(
    "--metric", "metrics", metavar="NAME", multiple=True, help="Show these alone, in this order.  [default: all]"
)
@click.option(
    "--average",
    type=click.Choice(["micro", "macro"]),
    default="micro",
    show_default=True,
    help="Over all conditions, or over the means of covariate states.",
)
@click.option("--markdown", is_flag=True, help="Show a Markdown table, the best in bold.")
@click.option(
    "--out", type=FileOut(".csv", ".parquet", ".md"), metavar="OUT.csv|parquet|md", help="Write it as a table, too."
)
@click.option("--figure", type=PICTURE_OUT, metavar="OUT.png|svg|pdf", help="Draw it, too.")
def leaderboard(
    tables: tuple[Path, ...],
    perturbation_key: str,
    metrics: tuple[str, ...],
    average: Literal["micro", "macro"],
    markdown: bool,
    out: Path | None,
    figure: Path | None,
) -> None:
    """Mean ± standard deviation over seeds of metrics TABLES (.csv, .tsv or .parquet), by model and metric.

    Models of different dataset, task, split or profile stand on boards of their own; a table without one of these, or a
    row without a seed, is kept as such, and said.

    \b
    Example:
      perturbench-lamin leaderboard seed1.csv seed2.csv --out board.csv --figure board.png
    """
    from perturbench_lamin.evaluation import leaderboard as boards
    from perturbench_lamin.evaluation.figure import leaderboard_figure
    from perturbench_lamin.evaluation.metrics_file import read_metrics
    from perturbench_lamin.evaluation.result import write_table
    from perturbench_lamin.files import atomic_path, write_text

    read = [(str(path), read_metrics(path)) for path in tables]
    board = boards.leaderboard(boards.combined(read), average=average, condition=perturbation_key)
    for note in boards.lacking_keys(read):
        click.secho(f"Note: {note}", fg="yellow", err=True)
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


def _require_one_truth(truth: Path | None, curated: Path | None, split_file: Path | None, part: str | None) -> None:
    """Refuse options of the truth that contradict each other, or leave it open.

    Raises:
        UsageError: they do.
    """
    context = click.get_current_context()
    if (truth is None) == (curated is None):
        raise click.UsageError("Give --truth T.h5ad, or --curated CURATED.h5ad with --split SPLIT.csv.")
    if (curated is None) != (split_file is None) or (part and curated is None):
        raise click.UsageError("--curated, --split and --part belong together: the truth is one part of the file.")
    named = [f"--{name.removesuffix('s').replace('_', '-')}" for name in KEYS if _was_given(context, name)]
    if curated is not None and named:
        raise click.UsageError(f"Leave {', '.join(named)} out: the curated file says which columns it has.")


def _was_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _tell_excluded(pairs: pd.DataFrame) -> None:
    """Name the pairs of covariate state and condition that the split leaves out."""
    from perturbench_lamin.errors import some

    if not pairs.empty:
        names = (" ".join(map(str, pair)) for pair in pairs.drop(columns="cells").itertuples(index=False))
        click.echo(f"\nExcluded: {pairs['cells'].sum():,} cells of {some(names)}.")


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
        if not Path(path).exists():
            raise InputError("No such file", where=path, fix="Give --prediction FILE or NAME=FILE.")
        named[name] = Path(path)
    return named
