"""Named training configurations: a quick one for any machine, and the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.models.registry import model_class
from perturbench_lamin.training.config import TrainConfig

PRESETS = ("quick", "published")
TASK_VARIANTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {("mcfaline24", f"scaling-{size}"): size for size in ("small", "medium", "full")}
)
"""(dataset, task) → the published set of hyperparameters that was found for that task."""

QUICK_TRAINING: Mapping[str, Any] = MappingProxyType({"max_epochs": 60, "batch_size": 256, "patience": 10})
QUICK_HYPERPARAMETERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "linear": {"lr": 5e-3, "wd": 1e-8, "inject_covariates": False},
        "latent_additive": {"n_layers": 1, "encoder_width": 256, "latent_dim": 64, "lr": 1e-3, "wd": 1e-8},
        "decoder_only": {"n_layers": 1, "encoder_width": 256, "lr": 1e-3, "wd": 1e-8},
        "cpa": {"n_layers_encoder": 1, "hidden_dim": 256, "n_latent": 64, "lr": 1e-3, "adv_steps": 2},
        "sams_vae": {
            "n_layers_encoder_x": 1,
            "n_layers_encoder_e": 1,
            "n_layers_decoder": 1,
            "hidden_dim_x": 256,
            "latent_dim": 32,
            "mask_prior_probability": 0.1,
            "lr": 1e-3,
            "wd": 1e-8,
        },
        "biolord": {"n_layers": 1, "encoder_width": 256, "latent_dim": 64, "lr": 1e-3, "wd": 1e-8},
    }
)


def training_config(model: str, dataset: str, preset: str, *, task: str | None = None, **changes: Any) -> TrainConfig:
    """The configuration of a model by a preset's name.

    ``quick`` has small networks and few epochs: minutes on a laptop, not the published numbers. ``published``
    has PerturBench's best hyperparameters for the dataset (hours without a GPU). A model that is computed in
    closed form has neither.

    Args:
        model: a name in the registry.
        dataset: a dataset's name.
        preset: one of :data:`PRESETS`.
        task: the task, for datasets whose published hyperparameters differ by task.
        **changes: fields of :class:`TrainConfig` to set otherwise; None leaves the preset's.

    Raises:
        InputError: the model or preset is unknown, or nothing is published for the model and dataset.
    """
    if preset not in PRESETS:
        raise InputError(f"No preset {preset!r}", where="preset", fix=nearest(preset, PRESETS))
    given = {name: value for name, value in changes.items() if value is not None}
    if model_class(model).epochs is not None:
        return TrainConfig.from_dict({"model": model, **given})
    if preset == "published":
        return TrainConfig.from_published(model, dataset, TASK_VARIANTS.get((dataset, task or "")), **given)
    hyperparameters = {**QUICK_HYPERPARAMETERS.get(model, {}), **given.pop("hyperparameters", {})}
    return TrainConfig.from_dict({"model": model, "hyperparameters": hyperparameters, **QUICK_TRAINING, **given})
