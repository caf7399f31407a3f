"""The published search spaces, one table a model (PerturBench, arXiv 2408.10609, and its public configurations).

Upper ends belong to the range: published best values attain them (7 layers, a width of 5,376). The sweeps behind
the paper's numbers are not published, and some best values lie outside these ranges. The public space of SAMS-VAE
also has a ``hidden_dim_cond`` (50 to 500), which the model does not use.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Space = Mapping[str, BaseDistribution]

_RATES: Space = {"lr": FloatDistribution(5e-6, 5e-3, log=True), "wd": FloatDistribution(1e-8, 1e-3, log=True)}
_LAYERS = IntDistribution(1, 7, step=2)
_WIDTH = IntDistribution(256, 5376, step=1024)
_LATENT = CategoricalDistribution((64, 128, 192, 256, 512))
_DROPOUT = FloatDistribution(0.0, 0.8, step=0.1)
_WEIGHT = FloatDistribution(0.1, 20.0, log=True)

SPACES: Mapping[str, Space] = MappingProxyType(
    {
        "linear": _RATES,
        "latent_additive": {
            "n_layers": _LAYERS,
            "encoder_width": _WIDTH,
            "latent_dim": _LATENT,
            "dropout": _DROPOUT,
            **_RATES,
        },
        "decoder_only": {
            "n_layers": _LAYERS,
            "encoder_width": _WIDTH,
            "softplus_output": CategoricalDistribution((True, False)),
            **_RATES,
        },
        "cpa": {
            "n_layers_encoder": _LAYERS,
            "n_layers_pert_emb": IntDistribution(1, 5),
            "hidden_dim": _WIDTH,
            "n_latent": _LATENT,
            "dropout": _DROPOUT,
            "adv_classifier_n_layers": IntDistribution(1, 5),
            "adv_classifier_hidden_dim": IntDistribution(128, 1024, log=True),
            "adv_steps": CategoricalDistribution((2, 3, 5, 7, 10, 20, 30)),
            "kl_weight": _WEIGHT,
            "adv_weight": _WEIGHT,
            "penalty_weight": _WEIGHT,
            **_RATES,
            "lr": FloatDistribution(5e-6, 1e-3, log=True),
        },
        "sams_vae": {
            "n_layers_encoder_x": _LAYERS,
            "n_layers_encoder_e": _LAYERS,
            "n_layers_decoder": _LAYERS,
            "hidden_dim_x": _WIDTH,
            "latent_dim": _LATENT,
            "dropout": _DROPOUT,
            "mask_prior_probability": FloatDistribution(1e-4, 0.99, log=True),
            **_RATES,
        },
        "biolord": {
            "n_layers": _LAYERS,
            "encoder_width": _WIDTH,
            "latent_dim": _LATENT,
            "dropout": _DROPOUT,
            "penalty_weight": FloatDistribution(10.0, 1e5, log=True),
            **_RATES,
        },
        "gears": {
            "hidden_size": IntDistribution(32, 512, step=32),
            "go_layers": IntDistribution(1, 3),
            "gene_layers": IntDistribution(1, 3),
            "decoder_hidden_size": IntDistribution(16, 48, step=16),
            "similar_genes_go": IntDistribution(10, 30, step=5),
            "similar_genes_coexpression": IntDistribution(10, 30, step=5),
            "coexpression_threshold": FloatDistribution(0.2, 0.5, step=0.01),
            "lr": FloatDistribution(5e-6, 1e-3, log=True),
            "wd": FloatDistribution(1e-8, 1e-3, log=True),
        },
    }
)
