"""What the verbs train and tune share: how a training's configuration is put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.options import assignments

if TYPE_CHECKING:
    from perturbench_lamin.training.config import TrainConfig

FILE_IN = click.Path(path_type=Path, exists=True, dir_okay=False)
FILE_OUT = click.Path(path_type=Path, dir_okay=False)
FOLDER_OUT = click.Path(path_type=Path, file_okay=False)


def configuration_options(command: Any) -> Any:
    """The options that say how to train."""
    options = (
        click.option("--model", help="A name in the registry; a configuration file may name it instead."),
        click.option(
            "--preset",
            type=click.Choice(["quick", "published"]),
            help="Small networks and few epochs, or the published hyperparameters.  [default: the model's defaults]",
        ),
        click.option("--config", "file", type=FILE_IN, metavar="FILE.json|yaml", help="A configuration instead."),
        click.option(
            "--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting or hyperparameter, over the rest."
        ),
        click.option("--max-epochs", type=click.IntRange(1), help="Epochs at most."),
        click.option("--accelerator", help="Lightning's: auto, cpu, gpu.  [default: auto]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def configuration(
    model: str | None,
    preset: str | None,
    file: Path | None,
    changes: Iterable[str],
    dataset: str,
    **settings: Any,
) -> TrainConfig:
    """A training's configuration from the options; what is more particular wins.

    Args:
        model: a name in the registry.
        preset: a preset's name.
        file: a configuration file, instead of a preset.
        changes: ``NAME=VALUE``, of settings or hyperparameters.
        dataset: the dataset's name, for published hyperparameters.
        **settings: options of their own, such as ``seed``; None leaves what there is.

    Raises:
        InputError: no model is named, two sources contradict each other, or a name or value is wrong.
    """
    from perturbench_lamin.training.config import TrainConfig
    from perturbench_lamin.training.config_file import read_plain
    from perturbench_lamin.training.presets import training_config

    plain = read_plain(file) if file else {}
    name = _model(model, plain, file, preset)
    base = training_config(name, dataset, preset).to_dict() if preset else {"hyperparameters": {}, **plain}
    given = {key: value for key, value in settings.items() if value is not None}
    own, hyperparameters = _sorted_out(name, assignments(changes, "--set"))
    merged = {**base["hyperparameters"], **hyperparameters}
    return TrainConfig.from_dict({**base, **own, **given, "model": name, "hyperparameters": merged})


def _model(model: str | None, plain: Mapping[str, Any], file: Path | None, preset: str | None) -> str:
    from perturbench_lamin.errors import InputError

    if file and preset:
        raise InputError("A preset and a configuration file", where="--preset, --config", fix="Give one of them.")
    if model and plain.get("model", model) != model:
        raise InputError(f"The file is for {plain['model']!r}, not {model!r}", where=file, fix="Leave --model out.")
    name = model or plain.get("model")
    if not name:
        raise InputError("No model is named", where="--model", fix="For example --model linear.")
    return str(name)


def _sorted_out(model: str, changes: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """The changes to the training's settings, and those to the model's hyperparameters."""
    from perturbench_lamin.errors import InputError, nearest
    from perturbench_lamin.models.registry import hyperparameters
    from perturbench_lamin.training.config import TrainConfig

    settings = {item.name for item in fields(TrainConfig)} - {"model", "hyperparameters"}
    known = set(asdict(hyperparameters(model)))
    for name in changes:
        if name not in settings | known:
            raise InputError(
                f"Neither a setting nor a hyperparameter of {model}: {name!r}",
                where="--set",
                fix=nearest(name, sorted(settings | known)),
            )
    own = {name: value for name, value in changes.items() if name in settings}
    return own, {name: value for name, value in changes.items() if name in known - settings}
