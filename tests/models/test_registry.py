from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import fields

import pytest
from model_tools import SMALL
from tiny_curated import Tiny

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.published import published
from perturbench_lamin.models.registry import MODELS, build, hyperparameters, model_class

DATA = Tiny().data()
VOCABULARY = Vocabulary.from_cells(DATA.obs, DATA.genes, DATA.info)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_built_by_its_name(name):
    model = build(name, SMALL.get(name), VOCABULARY)
    assert model.name == name == model_class(name).name
    assert model.hparams["model"] == name


def test_misspellings_name_the_nearest():
    with pytest.raises(InputError, match="Did you mean latent_additive"):
        build("latent_aditive", {}, VOCABULARY)
    with pytest.raises(InputError, match="Did you mean softplus_output"):
        hyperparameters("linear", {"softplus_outputs": True})


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("linear", "lr", "0.1"),
        ("linear", "lr", 0.0),
        ("linear", "wd", -1.0),
        ("linear", "inject_covariates", 1),
        ("latent_additive", "n_layers", 2.0),
        ("latent_additive", "n_layers", True),
        ("latent_additive", "dropout", 1.0),
        ("latent_additive", "latent_dim", 0),
        ("additive", "base", "median"),
        ("cpa", "adv_steps", 0),
        ("cpa", "kl_weight", -0.1),
        ("cpa", "n_layers_encoder", -1),
        ("cpa", "n_warmup_epochs", -1),
        ("sams_vae", "mask_prior_probability", 1.0),
        ("biolord", "penalty_weight", "1"),
    ],
)
def test_values_of_the_wrong_type_or_range(model, name, value):
    with pytest.raises(InputError, match=name):
        hyperparameters(model, {name: value})


def test_a_whole_number_serves_as_a_real_one():
    assert type(hyperparameters("latent_additive", {"dropout": 0}).dropout) is float


def test_a_decoder_without_inputs():
    with pytest.raises(InputError, match="no input"):
        hyperparameters("decoder_only", {"use_covariates": False, "use_perturbations": False})


def test_reference_defaults():
    assert vars(hyperparameters("linear")) == {
        "lr": 1e-3, "wd": 1e-4, "inject_covariates": True, "softplus_output": True,
    }  # fmt: skip
    latent = hyperparameters("latent_additive")
    assert (latent.n_layers, latent.encoder_width, latent.latent_dim, latent.dropout) == (3, 3072, 160, 0.1)
    assert (latent.lr, latent.wd) == (6.72e-5, 7.90e-9)


def test_published_values():
    best = published("latent_additive", "norman19")
    assert best.hyperparameters == {
        "dropout": 0.1, "encoder_width": 4352, "inject_covariates_decoder": False, "inject_covariates_encoder": False,
        "latent_dim": 512, "lr": 9.26032087722284e-05, "n_layers": 1, "softplus_output": True,
        "wd": 2.1800340376209524e-08,
    }  # fmt: skip
    assert best.training == {
        "min_epochs": 5, "max_epochs": 500, "batch_size": 4000, "precision": "16-mixed", "seed": 245,
    }  # fmt: skip
    assert published("linear", "mcfaline24").variant == "full"
    assert published("linear", "mcfaline24", "small").hyperparameters["lr"] == 0.004950837663306272


def test_nothing_published():
    with pytest.raises(InputError, match="No published hyperparameters for linear norman20"):
        published("linear", "norman20")
    with pytest.raises(InputError, match="additive"):
        published("additive", "norman19")


DATASETS = {"mcfaline23": "mcfaline24", "sciplex3": "srivatsan20", "op3": "szalata24", "jiang24": "jiang25"}
KINDS = {
    "linear": ("linear", ""), "linear_additive": ("linear", ""),
    "latent": ("latent_additive", ""), "latent_additive": ("latent_additive", ""),
    "latent_scgpt": ("latent_additive", "scgpt"),
    "decoder": ("decoder_only", ""), "decoder_only": ("decoder_only", ""),
    "decoder_cov": ("decoder_only", "covariates_only"),
    "cpa": ("cpa", ""), "cpa_no_adv": ("cpa", "no_adversary"), "cpa_scgpt": ("cpa", "scgpt"),
    "sams": ("sams_vae", ""), "sams_modified": ("sams_vae", "s"),
    "biolord": ("biolord", ""),
}  # fmt: skip
UNUSED = {"hidden_dim_cond", "lr_scheduler_freq", "n_genes", "n_perts", "use_legacy_mse"}


def reference_sets(path) -> dict:
    """(model, dataset, variant) → key → value, of every set of generation v1 but two of a later check."""
    sets: dict = {}
    with path.open() as table:
        for row in csv.DictReader(table):
            if row["generation"] == "v1_2025" and "_best_params_" in row["config"]:
                prefix, suffix = row["config"].split("_best_params_")
                model, variant = KINDS[prefix]
                size = suffix.rpartition("_")[2]
                parts = [variant, size if size in ("small", "medium", "full") else ""]
                key = (model, DATASETS.get(row["dataset"], row["dataset"]), "_".join(filter(None, parts)))
                sets.setdefault(key, {})[row["key"]] = row["value"]
    return sets


def test_every_published_value_is_the_references(shared_file):
    sets = reference_sets(shared_file("reference/best_hyperparameters.csv"))
    assert len(sets) == 68
    for key, values in sets.items():
        best = published(*key)
        known = {item.name for item in fields(hyperparameters(key[0], best.hyperparameters))}
        own = {name[6:]: value for name, value in values.items() if name.startswith("model.")}
        assert set(own) - known <= UNUSED, key
        expected = {name: json.loads(value.lower()) for name, value in own.items() if name in known}
        if "data.embedding_key" in values:
            expected["embedding"] = values["data.embedding_key"]
        assert best.hyperparameters == expected, key
        assert best.training["max_epochs"] == int(values["trainer.max_epochs"])
        assert best.training["precision"] == ("32-true" if values.get("trainer.precision") == "32" else "16-mixed")
        assert best.training.get("seed") == (int(values["seed"]) if "seed" in values else None)
        if "data.batch_size" in values:
            assert best.training["batch_size"] == int(float(values["data.batch_size"]))


def test_variants_of_published_sets():
    assert not published("cpa", "norman19", "no_adversary").hyperparameters["use_adversary"]
    assert published("cpa", "mcfaline24", "no_adversary").variant == "no_adversary_full"
    assert published("sams_vae", "mcfaline24", "s_small").hyperparameters["disable_sparsity"]
    assert published("latent_additive", "norman19", "scgpt").hyperparameters["embedding"] == "X_scgpt"
    with pytest.raises(InputError, match="No published hyperparameters for cpa jiang25 scgpt"):
        published("cpa", "jiang25", "scgpt")


def test_listing_models_imports_no_torch():
    code = "import sys, perturbench_lamin.models.registry, perturbench_lamin.models.published as p;"
    code += "p.published('linear', 'norman19'); sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
