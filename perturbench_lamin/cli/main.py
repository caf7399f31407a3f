"""The group of verbs and what they share: errors as one message, exit codes for scripts."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from perturbench_lamin import __version__
from perturbench_lamin.cli.command import DEBUG, debug_option

STOPPED, NOBODY_READS = 130, 141
"""Exit codes of what ends a verb early: Ctrl-C or a terminate signal, and a pipe whose reader is gone."""

HUGE_PAGES: Mapping[str, str] = {"THP_MEM_ALLOC_ENABLE": "1"}
"""Lets torch have large tensors in huge pages, on Linux: the many pages of a step's fresh memory cost time to map."""

VERBS: Mapping[str, tuple[str, str]] = {
    "demo": ("chain", "Run a whole chain on simulated data."),
    "datasets": ("chain", "List the datasets of the catalog."),
    "new-dataset": ("new_dataset", "Begin a dataset of your own, outside the package."),
    "run": ("chain", "Run a dataset's notebooks, from the raw file to the leaderboard."),
    "experiment": ("experiment", "Run one of the paper's experiments, or a search."),
    "lineage": ("chain", "Show how an artifact came about."),
    "reproduce": ("reproduce", "Make a recorded artifact again from its lineage, and compare."),
    "croissant": ("croissant", "Describe a curated dataset for dataset search engines."),
    "browse": ("browse", "Write a site of an instance, to be read without an account."),
    "preprocess": ("files", "Curate a file of raw counts: normalise, log, select genes."),
    "split": ("files", "Assign cells to train, val and test."),
    "pretrain": ("pretrain", "Embed genes and perturbations of another dataset, for linear_embedding."),
    "train": ("train", "Train a model on a curated file and a split."),
    "tune": ("tune", "Search a model's hyperparameters, and test the winner."),
    "predict": ("predict", "Predict a split's conditions, or any others, with a checkpoint."),
    "evaluate": ("files", "Score predictions against the truth."),
    "leaderboard": ("files", "Mean ± standard deviation over seeds of metrics tables."),
    "compare": ("compare", "Compare two files of cells by content."),
}


class Verbs(click.Group):
    """A group that imports a verb's module only when the verb is called, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order a newcomer meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, or None."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"perturbench_lamin.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. Click would take a file that ends too early for Ctrl-D, and say so.

        Raises:
            InputError: a file ends too early.
        """
        from perturbench_lamin.cli.failures import told
        from perturbench_lamin.errors import InputError

        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise InputError(told(error)) from error
        except BrokenPipeError:
            raise click.exceptions.Exit(NOBODY_READS) from None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the verb, or name the nearest ones."""
        from perturbench_lamin.errors import nearest

        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"No verb {args[0]!r}. {nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing their modules."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="perturbench-lamin")
def cli() -> None:
    """Curate, split, train and evaluate single-cell perturbation data, with lineage.

    \b
    Examples:
      perturbench-lamin demo
      perturbench-lamin run norman19 --raw path/to/raw
      perturbench-lamin evaluate --truth truth.h5ad --prediction mine.h5ad --out metrics.csv
    """


cli.params.append(debug_option())


def main() -> NoReturn:
    """Entry point of the installed command.

    Exit codes: 0 done, 1 an error that is explained, 2 wrong usage, 130 stopped, 141 nobody reads the output any more;
    verbs that compare have further ones. Tracebacks, and what other packages warn of, are shown with ``--debug`` alone.
    """
    signal.signal(signal.SIGTERM, _stop)
    for name, value in HUGE_PAGES.items():  # torch reads it once, at its first tensor; kernels and workers inherit it
        os.environ.setdefault(name, value)
    if not {"--debug"} & set(sys.argv) and not os.environ.get(DEBUG):
        _keep_others_quiet()
    _leave(_run())


def _run() -> int:
    """Run the verb; the exit code."""
    try:
        ended = cli(standalone_mode=False)
        return ended if isinstance(ended, int) else 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except BaseException as error:
        if os.environ.get(DEBUG) and not isinstance(error, click.ClickException):
            traceback.print_exception(error)
        return _say(error)


def _say(error: BaseException) -> int:
    """Say what is wrong, and what to do; the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        click.secho("Stopped.", fg="red", err=True)
        return STOPPED
    from perturbench_lamin.cli.failures import told

    click.secho(f"Error: {told(error)}", fg="red", err=True)
    return 1


def _keep_others_quiet() -> None:
    """Show neither the warnings of other packages nor tracebacks of what Python cannot hand on, also in workers."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        sys.warnoptions.append("ignore")  # worker processes are started with these
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda failed: _say(failed.exc_value or failed.exc_type())
    logging.raiseExceptions = False


def _leave(code: int) -> NoReturn:
    """End the process, also where its output is gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            code = code or (NOBODY_READS if isinstance(error, BrokenPipeError) else 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more, and complains
    raise SystemExit(code)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt
