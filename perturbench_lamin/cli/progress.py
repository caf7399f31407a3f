"""What the terminal shows while a chain runs."""

from __future__ import annotations

import sys

import click

from perturbench_lamin.chain.run import StepResult
from perturbench_lamin.chain.step import Step

WORDS = {
    "kept": ("kept", "blue", "unchanged"),
    "done": ("done", "green", ""),
    "failed": ("FAILED", "red", ""),
    "skipped": ("skipped", "yellow", ""),
}


class StepLines:
    """One line a step: its place, its name, how it ended and how long it took."""

    def __call__(self, place: int, total: int, event: Step | StepResult) -> None:
        """Show the start of a step (on a terminal) or its end."""
        if isinstance(event, Step):
            if interactive():
                click.echo(f"{numbered(place, total)} {event.name} …", err=True)
            return
        word, colour, remark = WORDS[event.state]
        remark = event.problem or remark or f"{event.seconds:.0f} s"
        click.echo(f"{numbered(place, total)} {event.step.name:36s} {click.style(word, fg=colour):8s} {remark}")
        for note in event.notes:
            click.echo(f"        {note}")


def numbered(place: int, total: int) -> str:
    """A step's place among all."""
    return f"[{place:{len(str(total))}d}/{total}]"


def interactive() -> bool:
    """Whether a person watches: bars are for terminals, not for logs."""
    return sys.stderr.isatty()
