"""The verb that writes a site of an instance, to be read without an account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from perturbench_lamin.browse.site import Site

DEFAULT_OUT = Path("site")


@click.command()
@click.option("--instance", help="A folder, or owner/name of a connected instance.  [default: this checkout's]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_OUT, show_default=True,
    help="Folder of the site; an earlier site there is replaced.",
)  # fmt: skip
@click.option("--verify", is_flag=True, help="Hash every file: show those that were altered since registration.")
@click.option("--serve", is_flag=True, help="Then serve it to this machine, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve on.  [default: a free one]")
def browse(instance: str | None, out: Path, verify: bool, serve: bool, port: int) -> None:
    """Write a static site of an instance: its datasets, files, runs, models and leaderboards, and their lineage.

    The site needs no server and no network: open index.html.

    \b
    Examples:
      perturbench-lamin browse --instance demo --out demo-site
      perturbench-lamin browse --verify --serve
    """
    from perturbench_lamin.browse.write import check_folder

    check_folder(out.absolute())
    _connect(instance)
    _tell(_written(out, verify), out)
    if serve:
        _serve(out, port)


def _connect(instance: str | None) -> None:
    """Connect to an instance that is there; none is made."""
    from perturbench_lamin.cli.chain import project_folder
    from perturbench_lamin.errors import InputError
    from perturbench_lamin.lineage.instance import _marker, _slug, open_instance

    if _slug(instance):
        open_instance(instance, Path.cwd()).connect()
        return
    folder = Path(instance) if instance else project_folder()
    if not _marker(folder).exists():
        raise InputError("No instance is here", where=folder, fix="Give --instance FOLDER, or owner/name.")
    open_instance(folder, folder).connect()


def _written(out: Path, verify: bool) -> Site:
    from tqdm import tqdm

    from perturbench_lamin.browse.read_instance import read_instance
    from perturbench_lamin.browse.write import write_site
    from perturbench_lamin.cli.progress import interactive

    with tqdm(desc="Pages", unit="", disable=not interactive()) as bar:
        return write_site(read_instance(), out, verify=verify, progress=lambda _: bar.update())


def _tell(site: Site, out: Path) -> None:
    click.echo(f"{len(site.data):,} artifacts and {len(site.snapshot.runs):,} runs of {site.snapshot.name}")
    for artifact in site.bad_files[:10]:
        click.secho(f"File {site.states[artifact.uid]}: {artifact.key} ({artifact.uid})", fg="yellow", err=True)
    if len(site.bad_files) > 10:
        click.secho(f"… and {len(site.bad_files) - 10:,} more files are gone or altered", fg="yellow", err=True)
    click.echo(f"Written: {out / 'index.html'}")


def _serve(out: Path, port: int) -> None:
    from perturbench_lamin.browse.serve import server

    with server(out, port) as running:
        click.echo(f"http://{running.server_address[0]!s}:{running.server_address[1]}/  (Ctrl-C stops)")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            click.echo("Stopped.")
