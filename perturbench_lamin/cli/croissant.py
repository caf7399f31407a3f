"""The verb that describes a curated dataset for dataset search engines."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("key")
@click.option("--instance", help="A folder, or owner/name of a connected instance.  [default: this checkout's]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write it here: .json.")
def croissant(key: str, instance: str | None, out: Path) -> None:
    """Write Croissant metadata of the curated dataset KEY (a key or a uid).

    \b
    Example:
      perturbench-lamin croissant curated/norman19.h5ad --out norman19.croissant.json
    """
    from perturbench_lamin.cli.chain import project_folder
    from perturbench_lamin.lineage.instance import open_instance

    open_instance(instance, Path() if instance else project_folder()).connect()
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.metadata.croissant import describe, write_croissant

    click.echo(f"Croissant metadata: {write_croissant(describe(artifacts.get(key)), out)}")
