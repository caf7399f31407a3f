"""The verb that predicts with a checkpoint, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.paths import FILE_IN, FileOut
from perturbench_lamin.cli.training_options import known_model
from perturbench_lamin.training.config import ACCELERATORS

if TYPE_CHECKING:
    import pandas as pd


_what, _how = under("What to predict"), under("How")


@click.command(cls=Verb)
@click.argument("checkpoint", metavar="CHECKPOINT", type=FILE_IN)
@click.option("--curated", required=True, type=FILE_IN, metavar="CURATED.h5ad", help="Where the control cells are.")
@click.option("--out", required=True, type=FileOut(), metavar="PREDICTIONS.h5ad", help="The file to write.")
@click.option("--model", "place", metavar="MODULE:CLASS", help="Of the checkpoint's model, where no package offers it.")
@_what("--split", "split_file", type=FILE_IN, metavar="SPLIT.csv", help="The conditions of one part of it.")
@_what("--which", type=click.Choice(["train", "val", "test"]), default="test", show_default=True, help="The part.")
@_what(
    "--conditions",
    type=FILE_IN,
    metavar="FILE.csv",
    help="These instead: a row each, with the columns of conditions and covariates.",
)
@_what("--other-data", is_flag=True, help="The file has other cells than the training's, on purpose.")
@_how(
    "--kind",
    type=click.Choice(["cells", "mean"]),
    default="cells",
    show_default=True,
    help="Cells, or one mean row for each condition and covariate state.",
)
@_how(
    "--max-control-cells",
    metavar="N",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    help="Of each covariate state, at most.",
)
@_how("--seed", metavar="N", default=0, show_default=True, type=click.IntRange(0), help="Of the choice of controls.")
@_how("--batch-size", metavar="N", default=4000, show_default=True, type=click.IntRange(1), help="Cells at a time.")
@_how("--accelerator", type=click.Choice(ACCELERATORS), default="auto", show_default=True, help="What computes.")
def predict(
    checkpoint: Path,
    curated: Path,
    place: str | None,
    split_file: Path | None,
    which: str,
    conditions: Path | None,
    other_data: bool,
    out: Path,
    **settings: Any,
) -> None:
    """Predict what control cells look like under conditions; write an h5ad file that evaluate takes.

    The conditions are those of one part of a split, or a table's: any combination of perturbations that the model
    knows, in any covariate state with control cells. With a table and a split, controls come from that part alone.

    \b
    Examples:
      perturbench-lamin predict runs/linear/best.ckpt --curated curated.h5ad --split combine.csv --out linear.h5ad
      perturbench-lamin predict runs/linear/best.ckpt --curated curated.h5ad --conditions pairs.csv --out pairs.h5ad
    """
    from perturbench_lamin.errors import InputError
    from perturbench_lamin.training import predict as by_split
    from perturbench_lamin.training.predict_conditions import predict_conditions

    if split_file is None and conditions is None:
        raise InputError(
            "Nothing says what to predict",
            where="--split, --conditions",
            fix="Give a split, a table of conditions, or both.",
        )
    if place is not None:
        known_model(place)
    config = by_split.PredictConfig(**settings)
    split, words = _split(curated, split_file), _provenance(checkpoint, curated, split_file)
    if conditions is not None:
        predict_conditions(
            checkpoint,
            curated,
            conditions,
            out,
            config=config,
            split=split,
            which=which,
            provenance=words,
            other_data=other_data,
        )
    else:
        assert split is not None
        by_split.predict(checkpoint, curated, split, which, out, config=config, provenance=words, other_data=other_data)
    _tell(out)


def _split(curated: Path, split_file: Path | None) -> pd.Series | None:
    from perturbench_lamin.splitting.io import read_split
    from perturbench_lamin.splitting.obs import read_obs
    from perturbench_lamin.storage.reading import about

    if split_file is None:
        return None
    with about(curated, split_file):
        return read_split(split_file, read_obs(curated).index)


def _provenance(checkpoint: Path, curated: Path, split_file: Path | None) -> dict[str, str]:
    """What the prediction says of its data; other files than the training's are told, whether or not refused."""
    from perturbench_lamin.files import sha256
    from perturbench_lamin.training.checkpoint import load_model
    from perturbench_lamin.training.file_provenance import differences

    given = {"curated_file": curated.name, "curated_sha256": sha256(curated)}
    if split_file is not None:
        given |= {"split_file": split_file.name, "split_sha256": sha256(split_file)}
    for note in differences(load_model(checkpoint)[1].provenance, given):
        click.secho(f"Note: {note}", fg="yellow", err=True)
    return given


def _tell(path: Path) -> None:
    import anndata as ad

    from perturbench_lamin.errors import many

    written = ad.read_h5ad(path, backed="r")
    counts = written.obs.groupby([*written.obs.columns[:-1]], observed=True).ngroups
    pairs = "condition in its state" if counts == 1 else "conditions in their states"
    click.echo(f"{many(written.n_obs, 'row')} × {many(written.n_vars, 'gene')}, {counts:,} {pairs}.")
    written.file.close()
    click.echo(f"\nWritten: {path}")
