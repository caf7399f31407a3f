"""The command line in this process, as a user calls it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from perturbench_lamin.cli.main import cli
from perturbench_lamin.errors import PerturbenchError


def invoke(*arguments):
    """Call a verb; errors come through."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def call(*arguments):
    """What a verb that succeeds says."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refuse(match, *arguments, kind=PerturbenchError):
    """Call a verb that must refuse."""
    with pytest.raises(kind, match=match):
        invoke(*arguments)
