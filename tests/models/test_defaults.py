"""Every default of every model, frozen: a published set that leaves a hyperparameter out means the default."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from perturbench_lamin.models.registry import MODELS, hyperparameters

MEANS = {"base": "mean"}
DEFAULTS: dict[str, dict] = {
    "control_mean": MEANS,
    "perturbation_mean": MEANS,
    "additive": MEANS,
    "linear_embedding": MEANS
    | {
        "components": 10,
        "ridge": 0.1,
        "gene_embedding": "",
        "perturbation_embedding": "",
        "allow_missing": False,
        "control_column": True,
    },
    "linear": {"lr": 1e-3, "wd": 1e-4, "inject_covariates": True, "softplus_output": True},
    "latent_additive": {
        "lr": 6.72e-5,
        "wd": 7.90e-9,
        "n_layers": 3,
        "encoder_width": 3072,
        "latent_dim": 160,
        "dropout": 0.1,
        "inject_covariates_encoder": True,
        "inject_covariates_decoder": True,
        "softplus_output": True,
        "sparse_mask": False,
        "sample_prediction": False,
        "embedding": "",
    },
    "decoder_only": {
        "lr": 6.72e-5,
        "wd": 7.90e-9,
        "n_layers": 3,
        "encoder_width": 3072,
        "use_perturbations": True,
        "use_covariates": True,
        "softplus_output": True,
    },
    "cpa": {
        "lr": 1e-5,
        "wd": 1e-8,
        "n_latent": 128,
        "hidden_dim": 256,
        "n_layers_encoder": 3,
        "n_layers_pert_emb": 2,
        "n_layers_covar_emb": 1,
        "dropout": 0.1,
        "elementwise_affine": True,
        "variational": True,
        "softplus_output": False,
        "kl_weight": 1.0,
        "use_covariates": True,
        "use_adversary": True,
        "adv_classifier_hidden_dim": 128,
        "adv_classifier_n_layers": 2,
        "adv_weight": 1.0,
        "penalty_weight": 10.0,
        "adv_steps": 2,
        "n_warmup_epochs": 5,
        "generator_every_batch": False,
        "lr_schedule": True,
        "embedding": "",
        "sample_prediction": False,
    },
    "sams_vae": {
        "lr": 8.18e-5,
        "wd": 2.42e-5,
        "n_layers_encoder_x": 5,
        "n_layers_encoder_e": 3,
        "n_layers_decoder": 4,
        "hidden_dim_x": 2332,
        "latent_dim": 55,
        "dropout": 0.2,
        "mask_prior_probability": 0.01,
        "inject_covariates_encoder": True,
        "inject_covariates_decoder": True,
        "softplus_output": True,
        "disable_sparsity": False,
        "disable_e_dist": False,
        "generative_counterfactual": False,
        "sample_prediction": False,
    },
    "biolord": {
        "lr": 1e-3,
        "wd": 1e-5,
        "n_layers": 3,
        "encoder_width": 3072,
        "latent_dim": 32,
        "dropout": 0.1,
        "noise": 0.1,
        "penalty_weight": 1.0,
        "softplus_output": True,
        "sample_prediction": False,
    },
}
"""Those of the public configurations, for the models that it has."""


@pytest.mark.parametrize("name", MODELS)
def test_defaults(name):
    found = asdict(hyperparameters(name))
    assert found == DEFAULTS[name]
    assert {key: type(value) for key, value in found.items()} == {k: type(v) for k, v in DEFAULTS[name].items()}
