"""The published best hyperparameters, as data."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from perturbench_lamin.errors import InputError, nearest

TABLE = "published.csv"
VARIANTS = {"mcfaline24": "full"}
"""Where a dataset has several published sets, the one meant when none is named."""
BATCH_SIZES = {"norman19": 4000, "srivatsan20": 4000, "jiang25": 2000}
"""The batch size in a dataset's own default configuration (8,000 for the others); a set may override it."""


@dataclass(frozen=True)
class Published:
    """One published set of hyperparameters.

    Attributes:
        model: the model's name here.
        dataset: the dataset's name here.
        variant: the task or input it belongs to, empty where there is one.
        hyperparameters: name → value; what is not listed has the model's default.
        training: ``max_epochs``, ``min_epochs``, ``batch_size``, ``precision``, and ``seed`` where stated.
        config: the name of the public configuration that says so.
    """

    model: str
    dataset: str
    variant: str
    hyperparameters: Mapping[str, Any]
    training: Mapping[str, Any]
    config: str


def published(model: str, dataset: str, variant: str | None = None) -> Published:
    """The best hyperparameters of a model on a dataset.

    From the public PerturBench configurations of the October 2025 code (arXiv 2408.10609v4), exact values.
    Precision there is 16-bit mixed on one GPU unless a set says otherwise. Two entries are left out: the width
    ``hidden_dim_cond`` of SAMS-VAE, which that code does not use, and ``lr_scheduler_freq`` of one set.

    Args:
        model: ``linear``, ``latent_additive``, ``decoder_only``, ``cpa``, ``sams_vae`` or ``biolord``.
        dataset: a dataset's name, such as ``norman19``.
        variant: ``covariates_only`` for the decoder that sees no perturbations; ``no_adversary`` for CPA without;
            ``s`` for SAMS-VAE (S); ``scgpt`` for CPA and Latent Additive that read scGPT's embedding, ``X_scgpt`` in
            obsm. For mcfaline24 ``small``, ``medium`` or ``full`` (the default), also after another variant:
            ``no_adversary_small``.

    Raises:
        InputError: nothing is published for that model, dataset and variant.
    """
    sets, size = _table(), VARIANTS.get(dataset, "")
    wanted = (model, dataset, size if variant is None else variant)
    if wanted not in sets:
        wanted = (model, dataset, f"{variant}_{size}") if size and variant else wanted
    if wanted not in sets:
        raise InputError(
            f"No published hyperparameters for {' '.join(filter(None, wanted))}",
            where="published",
            fix=nearest(" ".join(wanted), [" ".join(key).strip() for key in sets]),
        )
    return sets[wanted]


@lru_cache(maxsize=1)
def _table() -> dict[tuple[str, str, str], Published]:
    values: dict[tuple[str, str, str], dict[str, Any]] = {}
    configs: dict[tuple[str, str, str], str] = {}
    text = files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        key = (row["model"], row["dataset"], row["variant"])
        values.setdefault(key, {})[row["key"]] = json.loads(row["value"])
        configs[key] = row["config"]
    return {key: _published(key, settings, configs[key]) for key, settings in values.items()}


def _published(key: tuple[str, str, str], settings: Mapping[str, Any], config: str) -> Published:
    own = {name[len("model.") :]: value for name, value in settings.items() if name.startswith("model.")}
    training = {"min_epochs": 5, "batch_size": BATCH_SIZES.get(key[1], 8000), "precision": "16-mixed"}
    training |= {name.split(".")[-1]: value for name, value in settings.items() if not name.startswith("model.")}
    return Published(*key, hyperparameters=own, training=training, config=config)
