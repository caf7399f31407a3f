"""What the verbs that train share: which model, by which settings, on what hardware."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import click

from perturbench_lamin.cli.command import Decorator, bundle, under
from perturbench_lamin.cli.options import assignments
from perturbench_lamin.cli.paths import FILE_IN
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.placement import MEMORIES
from perturbench_lamin.models.registry import MODELS, known_as
from perturbench_lamin.training.config import ACCELERATORS, PRECISIONS, TrainConfig
from perturbench_lamin.training.presets import PRESETS

_model, _length, _hardware = under("Model"), under("Training"), under("Hardware")

MODEL_NAMES = f"{', '.join(MODELS)}, or one of another package"
PLACE = "MODULE:CLASS for one that no package offers"
PRESET = "quick: small networks, few epochs; published: the paper's hyperparameters."


def known_model(name: str) -> str:
    """A model's name; ``module:Class`` is looked for in the working directory, too.

    Raises:
        InputError: there is no such class.
    """
    if ":" in name and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return known_as(name)


def _or_the_presets(help: str, default: object) -> str:
    return f"{help}  [default: the preset's; without one {default}]"


SEED = _length(
    "--seed",
    metavar="N",
    type=click.IntRange(0),
    help=f"Of weights, order of cells, control draws and dropout.  [default: {TrainConfig.seed}]",
)
SETTINGS = {
    "max_epochs": _length(
        "--max-epochs",
        metavar="N",
        type=click.IntRange(1),
        help=_or_the_presets("Epochs at most.", TrainConfig.max_epochs),
    ),
    "batch_size": _length(
        "--batch-size",
        metavar="N",
        type=click.IntRange(1),
        help=_or_the_presets("Cells in a batch, of all devices together.", TrainConfig.batch_size),
    ),
    "precision": _length(
        "--precision",
        type=click.Choice(PRECISIONS),
        help=_or_the_presets("Mixed ones save a GPU's memory and time.", TrainConfig.precision),
    ),
    "accelerator": _hardware(
        "--accelerator",
        type=click.Choice(ACCELERATORS),
        help="What computes.  [default: auto, a GPU where there is one]",
    ),
    "devices": _hardware("--devices", metavar="N", type=int, help="How many, -1 for all.  [default: 1]"),
    "memory": _hardware(
        "--memory",
        type=click.Choice(MEMORIES),
        help="Where expression is held; the result is the same.  [default: auto, the fastest where it fits]",
    ),
    "prefetch": _hardware(
        "--prefetch",
        metavar="N",
        type=click.IntRange(0),
        help="Batches made ahead; the result is the same.  [default: 2 for a GPU or from disk, else 0]",
    ),
}
"""Fields of a training's configuration that are options of their own."""


def given(**values: Any) -> dict[str, Any]:
    """The values that were given: what was not leaves what there is."""
    return {name: value for name, value in values.items() if value is not None}


def settings_options(options: Mapping[str, Decorator] = SETTINGS) -> Decorator:
    """Options of which the verb takes those that were given, as ``settings``."""
    return bundle("settings", given, options)


@dataclass(frozen=True)
class Choice:
    """Which model to train, by what.

    Attributes:
        model: a name in the registry; None where the file names it.
        preset: a preset's name.
        file: a configuration file, instead of a preset.
        changes: ``NAME=VALUE``, of settings or hyperparameters.
    """

    model: str | None
    preset: str | None
    file: Path | None
    changes: tuple[str, ...]

    def configuration(self, dataset: str, **settings: Any) -> TrainConfig:
        """The training's configuration; what is more particular wins.

        Args:
            dataset: the dataset's name, for published hyperparameters.
            **settings: from options of their own, such as ``seed``.

        Raises:
            InputError: no model is named, two sources contradict each other, or a name or value is wrong.
        """
        from perturbench_lamin.training.config_file import read_plain
        from perturbench_lamin.training.presets import training_config

        plain = read_plain(self.file) if self.file else {}
        name = self._name(plain)
        base = {"hyperparameters": {}, **plain}
        if self.preset:
            base = training_config(name, dataset, self.preset).to_dict()
        own, hyperparameters = _sorted_out(name, assignments(self.changes, "--set"))
        merged = {**base["hyperparameters"], **hyperparameters}
        return TrainConfig.from_dict({**base, **own, **settings, "model": name, "hyperparameters": merged})

    def _name(self, plain: Mapping[str, Any]) -> str:
        if self.file and self.preset:
            raise InputError("A preset and a configuration file", where="--preset, --config", fix="Give one of them.")
        if self.model and known_model(str(plain.get("model", self.model))) != known_model(self.model):
            raise InputError(
                f"The file is for {plain['model']!r}, not {self.model!r}", where=self.file, fix="Leave --model out."
            )
        name = self.model or plain.get("model")
        if not name:
            raise InputError("No model is named", where="--model", fix="For example --model linear.")
        return known_model(str(name))


choice_options = bundle(
    "choice",
    Choice,
    {
        "model": _model(
            "--model", metavar="NAME", help=f"{MODEL_NAMES}, {PLACE}; a configuration file may name it instead."
        ),
        "preset": _model("--preset", type=click.Choice(PRESETS), help=f"{PRESET}  [default: the model's defaults]"),
        "file": _model("--config", "file", type=FILE_IN, metavar="FILE.json|yaml", help="A configuration instead."),
        "changes": _model(
            "--set",
            "changes",
            multiple=True,
            metavar="NAME=VALUE",
            help="A hyperparameter, or any setting, over the rest; may be given several times.",
        ),
    },
)
"""The verb takes ``choice``."""


def _sorted_out(model: str, changes: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """The changes to the training's settings, and those to the model's hyperparameters."""
    from perturbench_lamin.models.registry import hyperparameters

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
