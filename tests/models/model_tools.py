"""Batches of the tiny data, and a fit without a trainer's files."""

from __future__ import annotations

import lightning
import numpy as np
import pandas as pd

from perturbench_lamin.loading.batches import Batch, BatchLoader, ControlMatched
from perturbench_lamin.loading.curated import CuratedData
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.registry import build, model_class
from perturbench_lamin.training.surroundings import quiet, reproducible

SMALL: dict[str, dict] = {
    "linear": {"lr": 0.05, "softplus_output": False},
    "latent_additive": {"encoder_width": 48, "latent_dim": 12, "n_layers": 1, "lr": 4e-3, "dropout": 0.0},
    "decoder_only": {"encoder_width": 48, "n_layers": 1, "lr": 4e-3},
    "cpa": {
        "hidden_dim": 48, "n_latent": 12, "n_layers_encoder": 1, "n_layers_pert_emb": 1, "lr": 4e-3, "wd": 0.0,
        "dropout": 0.0, "kl_weight": 0.1, "adv_classifier_hidden_dim": 16, "adv_classifier_n_layers": 1,
    },
    "sams_vae": {
        "hidden_dim_x": 48, "latent_dim": 12, "n_layers_encoder_x": 1, "n_layers_encoder_e": 1, "n_layers_decoder": 1,
        "lr": 4e-3, "wd": 0.0, "dropout": 0.0, "mask_prior_probability": 0.3,
    },
    "biolord": {"encoder_width": 48, "latent_dim": 12, "n_layers": 1, "lr": 4e-3, "wd": 0.0, "dropout": 0.0},
}  # fmt: skip
"""Small networks for tiny data."""


def module(data: CuratedData, split: pd.Series, model: str, batch_size: int = 16) -> PerturbationData:
    kind = model_class(model)
    sampling = {"train_sampling": kind.train_sampling, "val_sampling": kind.val_sampling}
    return PerturbationData(data, split, batch_size=batch_size, **sampling)


def fitted(name: str, data: CuratedData, split: pd.Series, values: dict | None = None, epochs: int = 1, **more):
    batches = module(data, split, name, **more)
    with reproducible(0), quiet():
        model = build(name, values, batches.vocabulary)
        trainer = lightning.Trainer(
            accelerator="cpu", devices=1, max_epochs=epochs, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, deterministic=True,
        )  # fmt: skip
        trainer.fit(model, batches)
    return model.eval(), trainer


def val_batches(data: CuratedData, split: pd.Series, batch_size: int = 16) -> list[Batch]:
    val = module(data, split, "linear").val
    return list(BatchLoader(ControlMatched(val), batch_size=batch_size, seed=0, shuffle=False))


def all_cells(data: CuratedData) -> pd.Series:
    """One cell of each condition and state in validation, the others in training."""
    split = pd.Series("train", index=data.obs.index, dtype=object)
    split.iloc[np.unique(data.obs.astype(str).agg("|".join, axis=1), return_index=True)[1]] = "val"
    return split


def fresh(name: str, data: CuratedData, values: dict | None = None) -> tuple[PerturbationModel, Vocabulary]:
    vocabulary = Vocabulary.from_cells(data.obs, data.genes, data.info)
    with reproducible(0):
        return build(name, values, vocabulary), vocabulary
