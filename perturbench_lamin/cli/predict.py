"""The verb that predicts with a checkpoint, without an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.training_options import FILE_IN, FILE_OUT

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=FILE_IN)
@click.option("--curated", required=True, type=FILE_IN, metavar="CURATED.h5ad", help="Where the controls are.")
@click.option("--split", "split_file", type=FILE_IN, metavar="SPLIT.csv", help="Predict one part of it.")
@click.option("--which", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option(
    "--conditions",
    type=FILE_IN,
    metavar="FILE.csv",
    help="Predict these instead: columns of conditions and covariates.",
)
@click.option("--kind", type=click.Choice(["cells", "mean"]), default="cells", show_default=True)
@click.option("--max-control-cells", default=1000, show_default=True, type=click.IntRange(1), help="Of each state.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the choice of controls.")
@click.option("--batch-size", default=4000, show_default=True, type=click.IntRange(1))
@click.option("--accelerator", default="auto", show_default=True, help="auto, cpu or gpu.")
@click.option("--other-data", is_flag=True, help="The file has other cells than the training's, on purpose.")
@click.option("--out", required=True, type=FILE_OUT, metavar="PREDICTIONS.h5ad")
def predict(
    checkpoint: Path,
    curated: Path,
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

    return None if split_file is None else read_split(split_file, read_obs(curated).index)


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

    written = ad.read_h5ad(path, backed="r")
    counts = written.obs.groupby([*written.obs.columns[:-1]], observed=True).ngroups
    click.echo(f"{written.n_obs:,} rows × {written.n_vars:,} genes, {counts:,} conditions and states.")
    written.file.close()
    click.echo(f"\nWritten: {path}")
