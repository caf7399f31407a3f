"""The verb that pre-trains embeddings on plain files, without an instance."""

from __future__ import annotations

from pathlib import Path

import click

from perturbench_lamin.cli.command import Verb
from perturbench_lamin.cli.paths import FILE_IN, FolderOut


@click.command(cls=Verb)
@click.argument("curated", metavar="CURATED.h5ad", type=FILE_IN)
@click.option("--split", "split_file", type=FILE_IN, metavar="SPLIT.csv", help="Use its training cells alone.")
@click.option(
    "--components", metavar="N", default=10, show_default=True, type=click.IntRange(1), help="Of each embedding."
)
@click.option(
    "--out",
    required=True,
    type=FolderOut("genes.npz", "perturbations.npz"),
    metavar="FOLDER",
    help="For genes.npz and perturbations.npz.",
)
def pretrain(curated: Path, split_file: Path | None, components: int, out: Path) -> None:
    """Embed genes and perturbations of a dataset, for the model linear_embedding on another one.

    \b
    Example:
      perturbench-lamin pretrain other.h5ad --out other
      perturbench-lamin train curated.h5ad --split unseen.csv --model linear_embedding \\
          --set perturbation_embedding=other/perturbations.npz --set allow_missing=true --out runs/pretrained
    """
    from perturbench_lamin.loading.header import read_header
    from perturbench_lamin.models import pretraining
    from perturbench_lamin.splitting.io import read_split
    from perturbench_lamin.training.file_provenance import file_provenance

    header = read_header(curated)
    split = read_split(split_file, header.obs.index) if split_file else None
    embeddings = pretraining.pretrain(curated, split, components=components)
    about = {"dataset": header.info.dataset, **file_provenance(curated, split_file)}
    paths = pretraining.write_pretrained(out, embeddings, about)
    for embedding, what in zip(embeddings, ("genes", "perturbations"), strict=True):
        click.echo(f"{len(embedding.names):,} {what} × {embedding.values.shape[1]} components")
    click.echo(f"\nWritten: {paths[0]} and {paths[1]}")
