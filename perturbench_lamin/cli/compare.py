"""The verb that compares two files of cells by content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.command import Verb, bundle, under
from perturbench_lamin.cli.paths import CELLS_IN, FILE_IN, FOLDER_IN, FileOut, FolderOut
from perturbench_lamin.comparison.settings import IGNORABLE

if TYPE_CHECKING:
    from perturbench_lamin.comparison.deposit import Deposit

DIFFERENT, NOT_ALL_COMPARED = 3, 4
"""Exit codes when the files differ, and when they are the same in what was compared, but not all was."""


_deposited, _splits, _judging = under("Deposited file, in place of B"), under("Splits"), under("Judging")


@dataclass(frozen=True)
class Wanted:
    """Which deposited file to compare with.

    Attributes:
        dataset: whose; None where there is none to find.
        folder: of deposited files; None to fetch it.
        download: fetch it.
        revision: of the deposit; None for the first one seen.
        file_name: which, where a dataset has several.
        accept: ``FILE=SHA256`` of further files to accept.
        work: where downloads and unpacked files are kept.
    """

    dataset: str | None
    folder: Path | None
    download: bool
    revision: str | None
    file_name: str | None
    accept: tuple[str, ...]
    work: Path

    def named(self) -> bool:
        """Whether anything says that one is wanted."""
        return bool(self.dataset or self.folder or self.download)

    def find(self) -> Deposit:
        """The file.

        Raises:
            UsageError: the options do not say which, or contradict each other.
        """
        from perturbench_lamin.comparison.deposit import get_deposit

        if self.dataset is None:
            raise click.UsageError("Give B, or --dataset NAME with --deposited FOLDER or --download.")
        if bool(self.folder) == self.download:
            raise click.UsageError("Give --deposited FOLDER (files that you have) or --download (from Hugging Face).")
        if any("=" not in word for word in self.accept):
            raise click.UsageError("--accept wants FILE=SHA256.")
        accepted = dict(word.split("=", 1) for word in self.accept)
        return get_deposit(
            self.dataset,
            self.work,
            folder=self.folder,
            revision=self.revision,
            file_name=self.file_name,
            accepted=accepted,
        )


deposit_options = bundle(
    "wanted",
    Wanted,
    {
        "dataset": _deposited("--dataset", metavar="NAME", help="Whose deposited file."),
        "folder": _deposited(
            "--deposited", "folder", type=FOLDER_IN, metavar="FOLDER", help="Of deposited files that you have."
        ),
        "download": _deposited("--download", is_flag=True, help="Fetch it from Hugging Face."),
        "revision": _deposited(
            "--revision", metavar="COMMIT", help="Of the deposit, to fetch.  [default: the first one seen]"
        ),
        "file_name": _deposited("--file", "file_name", metavar="NAME", help="Which one, where a dataset has several."),
        "accept": _deposited(
            "--accept", multiple=True, metavar="FILE=SHA256", help="Accept a file with this checksum."
        ),
        "work": _deposited(
            "--work",
            type=FolderOut(),
            metavar="FOLDER",
            default=Path("work/deposited"),
            show_default=True,
            help="Where downloads and unpacked files are kept.",
        ),
    },
)


@click.command(cls=Verb)
@click.argument("a", metavar="A.h5ad", type=CELLS_IN)
@click.argument("b", metavar="[B.h5ad]", type=CELLS_IN, required=False)
@deposit_options
@_splits(
    "--split-a",
    "splits_a",
    multiple=True,
    type=FILE_IN,
    metavar="CSV",
    help="Of A's cells; may be given several times.",
)
@_splits(
    "--split-b",
    "splits_b",
    multiple=True,
    type=FILE_IN,
    metavar="CSV",
    help="Of B's cells; may be given several times.",
)
@_judging("--rtol", metavar="X", type=float, default=1e-5, show_default=True, help="Relative tolerance of numbers.")
@_judging("--atol", metavar="X", type=float, default=1e-8, show_default=True, help="Absolute tolerance of numbers.")
@_judging(
    "--cells",
    type=click.Choice(["auto", "name", "content"]),
    default="auto",
    show_default=True,
    help="Match cells by their names, or by their counts.",
)
@_judging("--common", is_flag=True, help="Judge only columns, layers, splits and uns entries that both have.")
@_judging("--ignore", multiple=True, metavar="PART", help=f"Leave out {', '.join(IGNORABLE)}.")
@click.option(
    "--examples", metavar="N", default=5, show_default=True, type=click.IntRange(1), help="Names and values to show."
)
@click.option("--out", type=FileOut(), metavar="OUT.json", help="Write everything that was found.")
@click.option("--report", "page", type=FileOut(), metavar="REPORT.html", help="Write one self-contained page.")
def compare(
    a: Path,
    b: Path | None,
    wanted: Wanted,
    splits_a: tuple[Path, ...],
    splits_b: tuple[Path, ...],
    rtol: float,
    atol: float,
    cells: str,
    common: bool,
    ignore: tuple[str, ...],
    examples: int,
    out: Path | None,
    page: Path | None,
) -> None:
    """Compare two files of cells by content, whatever their bytes, order, compression, dtype or encoding.

    Exit code: 0 identical or equivalent, 3 different, 4 the same in what was compared (what was not is named),
    1 an error, 2 wrong usage.

    \b
    Examples:
      perturbench-lamin compare mine.h5ad other.h5ad --report comparison.html
      perturbench-lamin compare curated.h5ad --dataset norman19 --download --common
      perturbench-lamin compare curated.h5ad --dataset norman19 --deposited path/to/files --common
    """
    from perturbench_lamin.cli.progress import interactive
    from perturbench_lamin.comparison.compare import compare_files
    from perturbench_lamin.comparison.report import write_report
    from perturbench_lamin.comparison.settings import CompareConfig
    from perturbench_lamin.comparison.text import as_text
    from perturbench_lamin.comparison.unpack import unpacked

    config = CompareConfig(rtol, atol, cells, common, ignore, examples)  # type: ignore[arg-type]
    if b is None:
        found = wanted.find()
        b, splits_b = found.cells, (*splits_b, *(found.splits if splits_a else ()))
        click.echo(found.told(), err=True)
    elif wanted.named():
        raise click.UsageError("Give B, or --dataset with --deposited or --download, not both.")
    with unpacked(a) as first, unpacked(b) as second:
        comparison = compare_files(first, second, config, splits_a=splits_a, splits_b=splits_b, progress=interactive())
    click.echo(as_text(comparison))
    if out:
        click.echo(f"Written: {comparison.write_json(out)}")
    if page:
        click.echo(f"Written: {write_report(comparison, page, title=f'{a.name} and {b.name}')}")
    if comparison.differences:
        raise SystemExit(DIFFERENT)
    if comparison.uncompared:
        raise SystemExit(NOT_ALL_COMPARED)
