"""The verb that gets a recorded result again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.command import Verb
from perturbench_lamin.cli.options import connect, instance_option
from perturbench_lamin.cli.paths import FileOut, FolderOut
from perturbench_lamin.errors import ChainError

if TYPE_CHECKING:
    from perturbench_lamin.reproduction.plan import Code
    from perturbench_lamin.reproduction.result import StepResult


@click.command(cls=Verb)
@click.argument("key")
@instance_option
@click.option(
    "--from",
    "start",
    type=click.Choice(["raw", "curated"]),
    help="Start from raw, or curated, artifacts as recorded.  [default: ingest again, too]",
)
@click.option(
    "--code",
    type=click.Choice(["today", "recorded"]),
    default="today",
    show_default=True,
    help="Run the package as it is now, or as it was when the steps ran.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--keep", type=FolderOut(), metavar="FOLDER", help="Keep the scratch instance here.")
@click.option("--out", type=FileOut(), metavar="OUT.csv", help="Write the table of the steps, too.")
def reproduce(
    key: str, instance: str | None, start: str | None, code: Code, dry_run: bool, keep: Path | None, out: Path | None
) -> None:
    """Make the artifact KEY (a key or a uid) again from its lineage alone, and compare.

    The recorded notebook sources run with the recorded parameters and inputs in a new instance and folder.
    Each step's outputs are compared by content with the recorded ones.
    The exit code is 1 where one differs or fails.

    \b
    Examples:
      perturbench-lamin reproduce leaderboards/norman19/combine.csv --dry-run
      perturbench-lamin reproduce curated/norman19.h5ad --from raw --code recorded
    """
    connect(instance)
    from perturbench_lamin.reproduction import reproduce as steps
    from perturbench_lamin.reproduction.show import plan_text, results_table, results_text
    from perturbench_lamin.reproduction.trace import find, trace

    plan = trace(find(key), start or "deposit", download=not dry_run)  # type: ignore[arg-type]
    plan = replace(plan, code=code)
    click.echo(plan_text(plan))
    if dry_run:
        return
    click.echo("")
    results = steps.reproduce(plan, keep)
    click.echo(f"\n{results_text(results)}")
    if out:
        from perturbench_lamin.files import write_text

        write_text(out, results_table(results).to_csv(index=False))
    _conclude(results, keep)


def _conclude(results: list[StepResult], keep: Path | None) -> None:
    lost = [result for result in results if not result.reproduced]
    if lost:
        kept = f"Everything is in {keep}." if keep else "With --keep FOLDER the scratch instance stays to be looked at."
        raise ChainError(
            f"{len(lost)} of {len(results)} steps were not reproduced: {lost[0].step.name} is {lost[0].state}", fix=kept
        )
    click.echo(f"\nReproduced: all {len(results)} steps gave the same again.")
