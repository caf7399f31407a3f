"""How the verbs are written: options under headings, options that a verb takes as one value, lists in the help."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from typing import Any

import click

from perturbench_lamin.cli.paths import check_outputs, inputs_told

Decorator = Callable[[Any], Any]
List = tuple[str, Callable[[], Iterable[tuple[str, str]]]]
"""A heading, and what makes its names and what each is, when the help is shown."""


DEBUG = "PERTURBENCH_DEBUG"
"""The environment variable that has tracebacks shown: processes that are started have it, too."""

READ = "Read: "
"""How the note on an error begins that names the files a verb read."""


def debug_option() -> click.Option:
    """The option ``--debug``, of the group and of each verb."""

    def remember(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
        if wanted:
            os.environ[DEBUG] = "1"

    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=remember,
        help=f"Show the traceback of an error.  [also: {DEBUG}=1]",
    )


class HeadedOption(click.Option):
    """An option that the help shows under a heading."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading

    def get_help_extra(self, ctx: click.Context) -> Any:
        """What stands in brackets behind the help, without the range: the error names it."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def under(heading: str) -> Callable[..., Decorator]:
    """:func:`click.option`, for options that the help shows under a heading."""
    return partial(click.option, cls=HeadedOption, heading=heading)


class Verb(click.Command):
    """A command whose help has its options under their headings, and lists of what may be named.

    What it must not write over is looked at before it runs. ``--debug`` may stand behind it, too.

    Args:
        lists: shown before the options.
    """

    def __init__(self, *args: Any, lists: Iterable[List] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.lists = tuple(lists)
        self.params.append(debug_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; errors that nobody foresaw are given the files that it read.

        Raises:
            BadParameter: an output is an input, too.
        """
        check_outputs(ctx)
        try:
            return super().invoke(ctx)
        except Exception as error:
            error.add_note(READ + inputs_told(ctx))
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists, then the options, heading by heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(option, "heading", "Options"), []).append(record)
        lists = {heading: list(make()) for heading, make in self.lists}
        for heading, records in (lists | sections).items():
            with formatter.section(heading):
                formatter.write_dl(records)


def bundle(name: str, make: Callable[..., Any], options: Mapping[str, Decorator]) -> Decorator:
    """Give a verb options whose values it takes as one.

    Args:
        name: the verb's parameter.
        make: makes its value of the options' values, which it takes by name; such as a dataclass.
        options: name → what :func:`click.option` makes.
    """

    def decorate(verb: Callable[..., Any]) -> Any:
        @wraps(verb)
        def call(**values: Any) -> Any:
            own = {option: values.pop(option) for option in options}
            return verb(**{name: make(**own)}, **values)

        command: Any = call
        for option in reversed(list(options.values())):
            command = option(command)
        return command

    return decorate
