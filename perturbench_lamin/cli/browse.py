"""The verb that writes a site of an instance, to be read without an account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.options import connect, instance_option
from perturbench_lamin.cli.paths import FolderOut

if TYPE_CHECKING:
    from perturbench_lamin.browse.site import Site

DEFAULT_OUT = Path("site")

_serving = under("Serving")


@click.command(cls=Verb)
@instance_option
@click.option(
    "--out",
    type=FolderOut(),
    metavar="FOLDER",
    default=DEFAULT_OUT,
    show_default=True,
    help="Of the site; an earlier site there is replaced.",
)
@click.option("--verify", is_flag=True, help="Hash every file: show those that were altered since registration.")
@_serving("--serve", is_flag=True, help="Serve it afterwards, to this machine alone, until Ctrl-C.")
@_serving("--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="To serve on.  [default: a free one]")
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
    connect(instance)
    _tell(_written(out, verify), out)
    if serve:
        _serve(out, port)


def _written(out: Path, verify: bool) -> Site:
    from tqdm import tqdm

    from perturbench_lamin.browse.read_instance import read_instance
    from perturbench_lamin.browse.write import write_site
    from perturbench_lamin.cli.progress import interactive

    with tqdm(desc="Pages", unit="", disable=not interactive()) as bar:
        return write_site(read_instance(fetch_all=verify), out, verify=verify, progress=lambda _: bar.update())


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
