"""The verb that describes a curated dataset for dataset search engines."""

from __future__ import annotations

from pathlib import Path

import click

from perturbench_lamin.cli.command import Verb
from perturbench_lamin.cli.options import connect, instance_option
from perturbench_lamin.cli.paths import FileOut


@click.command(cls=Verb)
@click.argument("key")
@instance_option
@click.option("--out", type=FileOut(), metavar="OUT.json", required=True, help="The file to write.")
def croissant(key: str, instance: str | None, out: Path) -> None:
    """Write Croissant metadata of the curated dataset KEY (a key or a uid).

    \b
    Example:
      perturbench-lamin croissant curated/norman19.h5ad --out norman19.croissant.json
    """
    connect(instance)
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.metadata.croissant import describe, write_croissant

    click.echo(f"Croissant metadata: {write_croissant(describe(artifacts.get(key)), out)}")
