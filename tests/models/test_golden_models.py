"""Losses, gradients and predictions of the public PerturBench code, at the same weights, batch, noise and dropout.

The folder of ``GOLDEN_MODELS``, by default that of the shared reference data, has for each case an .npz of arrays and
a .json that says what they are. Whatever cases it has are tried: hyperparameters and sizes are the .json's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.moving import converted
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.noise import Noise
from perturbench_lamin.models.registry import build, model_class

DEFAULT = Path(__file__).resolve().parents[3] / "shared/golden/models"
FOLDER = Path(os.environ.get("GOLDEN_MODELS", DEFAULT))
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not NAMES, reason=f"needs the golden numbers of the models in {FOLDER} (GOLDEN_MODELS)"),
]

RENAMED = {"sparse_additive_mechanism": "sparse_mask"}
"""Hyperparameters that have another name here."""

PLACES: dict[str, dict[str, str]] = {
    "linear": {"fc_pert": "weights"},
    "latent_additive": {
        "gene_encoder.network": "control_encoder",
        "pert_encoder.network": "perturbation_encoder",
        "mask_encoder.mlp.network": "mask_encoder",
        "decoder.network": "decoder",
    },
    "decoder_only": {"decoder.network": "decoder"},
    "cpa": {
        "encoder.network": "encoder.body",
        "encoder.mu_x": "encoder.mean",
        "encoder.var_x": "encoder.log_variance",
        "decoder.network.network": "decoder",
        "pert_network.network": "perturbation_encoder",
        "covars_embeddings.COVARIATE.network": "covariate_encoders.NUMBER",
        "perturbation_adversary_classifier.network": "adversaries.perturbation",
        "covars_adversary_classifiers.COVARIATE.network": "adversaries.covariates.NUMBER",
    },
    "sams_vae": {
        "m_logits": "mask_logits",
        "encoder_x.mlp.network": "cell_encoder.body",
        "encoder_x.mu_x": "cell_encoder.mean",
        "encoder_x.var_x": "cell_encoder.log_variance",
        "encoder_e.mlp.network": "effect_encoder.body",
        "encoder_e.mu_x": "effect_encoder.mean",
        "encoder_e.var_x": "effect_encoder.log_variance",
        "decoder.network.network": "decoder",
    },
    "biolord": {
        "gene_encoder.network": "cell_encoder",
        "pert_encoder.network": "perturbation_encoder",
        "decoder.network": "decoder",
        "lord_embedding.COVARIATE": "covariate_embeddings.NUMBER",
    },
}
"""For each model where a module or parameter of the reference stands here. Layers of a network correspond in order."""

DRAWN = {"basal": "eps_z", "effects": "eps_e", "mask": "mask_uniform", "code": "eps_code"}
"""What a model draws → its name in ``noise/``."""

TOLERANCE = {torch.float64: 1e-6, torch.float32: 5e-6}
"""Of losses and gradients; predictions agree to 1e-6 in either. In single precision the order of sums shows."""


class Given(Noise):
    """Numbers from a golden file; ``still``: every normal one is 0."""

    def __init__(self, arrays: Mapping[str, np.ndarray], phase: str, *, still: bool = False) -> None:
        self.arrays, self.phase, self.still = arrays, phase, still

    def normal(self, name: str, like: Tensor) -> Tensor:
        return torch.zeros_like(like) if self.still else self.uniform(name, like)

    def uniform(self, name: str, like: Tensor) -> Tensor:
        given = torch.from_numpy(self.arrays[f"noise/{self.phase}/{DRAWN[name]}"]).to(like)
        assert given.shape == like.shape
        return given


class Masked(nn.Dropout):
    """Dropout that keeps the units of a mask of 0 and 1."""

    def __init__(self, mask: np.ndarray, p: float) -> None:
        super().__init__(p)
        self.mask = torch.from_numpy(mask)

    def forward(self, values: Tensor) -> Tensor:
        return values * self.mask.to(values) / (1 - self.p) if self.training else values


@dataclass(frozen=True)
class Golden:
    """One case."""

    name: str

    @cached_property
    def about(self) -> dict:
        return json.loads((FOLDER / f"{self.name}.json").read_text(encoding="utf-8"))

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(FOLDER / f"{self.name}.npz") as file:
            return dict(file)

    @property
    def kind(self) -> str:
        return self.about["model"]

    @property
    def covariates(self) -> dict[str, int]:
        return {key: self.about["sizes"]["covariates"][key] for key in self.about["covariate_order"]}

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays of a folder by their names in it."""
        return {key[len(prefix) :]: value for key, value in self.arrays.items() if key.startswith(prefix)}

    def model(self, dtype: torch.dtype, **more) -> PerturbationModel:
        """Our model with these weights and masks, sampling its predictions."""
        values = {RENAMED.get(key, key): value for key, value in self.about["hyperparameters"].items()}
        known = {item.name for item in fields(model_class(self.kind).hyperparameters_type)}
        if "dropout" in known:
            values["dropout"] = values.get("dropout") or 0.0
        more |= {"sample_prediction": True} if "sample_prediction" in known else {}
        model = build(self.kind, values | more, self.vocabulary())
        self.fill(model)
        self.mask(model)
        if "batch/train_token_counts" in self.arrays:
            model.token_cells.copy_(torch.from_numpy(self.arrays["batch/train_token_counts"]))
        model.noise, model.prediction_noise = Given(self.arrays, "training"), Given(self.arrays, "prediction")
        return model.to(dtype)

    def vocabulary(self) -> Vocabulary:
        sizes = self.about["sizes"]
        tokens = tuple(f"t{number}" for number in range(sizes["tokens"]))
        return Vocabulary(
            genes=tuple(f"g{number}" for number in range(sizes["genes"])),
            perturbations=tokens,
            covariates={key: tuple(f"{key}{n}" for n in range(size)) for key, size in self.covariates.items()},
            states=(),
            conditions={},
            control="control",
        )

    def places(self) -> dict[str, str]:
        """:data:`PLACES` of the model, for each covariate; CPA leaves out covariates of one value."""
        found = {}
        used = [key for key, size in self.covariates.items() if size > 1 or self.kind != "cpa"]
        for theirs, ours in PLACES[self.kind].items():
            for number, key in enumerate(used if "COVARIATE" in theirs else [""]):
                found[theirs.replace("COVARIATE", key)] = ours.replace("NUMBER", str(number))
        return found

    def pairs(self, model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
        """Each weight's name in the reference, and our parameter."""
        names = self.under("weights/")
        for theirs, ours in self.places().items():
            own = {name: name.removeprefix(f"{theirs}.") for name in names if name.startswith(f"{theirs}.")}
            if theirs in names and (parameter := attribute(model, ours)) is not None:
                yield theirs, parameter
            elif own and (module := attribute(model, ours)) is not None:
                layers = with_parameters(module)
                numbers = sorted({int(name.split(".")[0]) for name in own.values()}) if len(layers) != 1 else []
                assert len(numbers) in (0, len(layers)), theirs
                for name, short in own.items():
                    number, _, last = short.rpartition(".")
                    layer = layers[numbers.index(int(number))] if numbers else layers[0]
                    yield name, getattr(layer, last)

    def fill(self, model: nn.Module) -> None:
        weights, filled = self.under("weights/"), set()
        with torch.no_grad():
            for name, parameter in self.pairs(model):
                parameter.copy_(torch.from_numpy(self.as_ours(name, weights.pop(name))))
                filled.add(parameter)
        assert set(weights) <= set(self.about["weights_without_gradient"]), "each weight that counts has a place here"
        left = {name for name, parameter in model.named_parameters() if parameter not in filled}
        assert not left, "each parameter here is one of the reference's"

    def mask(self, model: nn.Module) -> None:
        """Put the golden masks where dropout is on."""
        masks, places = self.under("noise/training/dropout/"), self.places()
        for theirs, ours in places.items():
            own = sorted((name for name in masks if name.rpartition(".")[0] == theirs), key=last_number)
            for name, number in zip(own, dropouts(attribute(model, ours)), strict=True) if own else ():
                network = attribute(model, ours)
                network[number] = Masked(masks.pop(name), network[number].p)
        assert not masks
        on = [layer for layer in model.modules() if type(layer) is nn.Dropout and layer.p > 0]
        assert not on, "the reference has no dropout there"

    def batch(self, dtype: torch.dtype, *, counterfactual: bool = False) -> Batch:
        """The training batch; or with controls as inputs and nothing to compare with."""
        data = {name: torch.from_numpy(value) for name, value in self.under("batch/").items()}
        itself = model_class(self.kind).train_sampling == "disentanglement" and not counterfactual
        covariates = [data[f"covariates/{key}"] for key in self.covariates]
        joined = torch.cat(covariates, 1) if covariates else data["controls"][:, :0]
        batch = Batch(
            controls=data["expression" if itself else "controls"],
            perturbations=data["perturbations"],
            covariates=joined,
            condition_ids=torch.unique(data["perturbations"], dim=0, return_inverse=True)[1],
            state_ids=torch.unique(joined, dim=0, return_inverse=True)[1],
            expression=None if counterfactual else data["expression"],
        )
        return converted(batch, dtype)

    def as_ours(self, name: str, value: np.ndarray) -> np.ndarray:
        """BioLord's embeddings have a column for each value of the covariate, ours a row."""
        return value.T if name.startswith("lord_embedding.") else value

    def compare_gradients(self, model: nn.Module, prefix: str, dtype: torch.dtype) -> None:
        expected = self.under(prefix)
        assert expected
        for name, parameter in self.pairs(model):
            if name in expected:
                found = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
                close(found, self.as_ours(name, expected.pop(name)), TOLERANCE[dtype], name)
            else:
                assert parameter.grad is None or not parameter.grad.any(), f"{name} has no gradient in the reference"
        assert not expected


def attribute(model: nn.Module, path: str):
    """A module or parameter by its path, None where there is none."""
    found = model
    for part in path.split("."):
        if isinstance(found, nn.ModuleList | nn.ParameterList):
            found = found[int(part)] if int(part) < len(found) else None
        else:
            found = getattr(found, part, None)
        if found is None:
            return None
    return found


def with_parameters(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if list(layer.parameters(recurse=False))]


def dropouts(network: nn.Sequential) -> list[int]:
    return [number for number, layer in enumerate(network) if isinstance(layer, nn.Dropout)]


def last_number(name: str) -> int:
    return int(name.rpartition(".")[2])


def close(found, expected, tolerance: float, what: str) -> None:
    """By the largest absolute value of the array."""
    found = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
    assert found.shape == expected.shape, what
    off = np.abs(found - expected).max() / (np.abs(expected).max() or 1.0)
    assert off <= tolerance, f"{what}: off by {off:.1e}"


def terms_of(model: PerturbationModel, batch: Batch) -> dict[str, Tensor]:
    """What ``loss/`` names, but for what a training lowers."""
    if model.name == "biolord":
        return model.loss_terms(batch)
    if model.name == "sams_vae":
        terms = model.loss_terms(batch)
        return terms | {"kld": torch.stack([value for name, value in terms.items() if name != "reconstruction"]).sum()}
    if model.name == "cpa":
        terms, basal = model.rebuild(batch)
        if not model.settings.use_adversary:
            return terms
        adversary = model.adversary_terms(basal, batch)
        for theirs, ours in (("adversary_cross_entropy", "cross_entropies"), ("gradient_penalty", "penalties")):
            values = adversary[ours]
            parts = {"": values.sum(), "_perturbation": values[0], "_covariates": values[1:].sum()}
            terms |= {theirs + part: value for part, value in parts.items()}
        return terms
    return {}


def cpa_steps(model: PerturbationModel, batch: Batch) -> Iterator[tuple[str, Tensor]]:
    """What each kind of CPA's steps lowers, its gradient on the parameters."""
    if not model.settings.use_adversary:
        for name in ("warmup", "generator"):
            loss = model.loss(batch)
            loss.backward()
            yield name, loss
            model.zero_grad()
        return
    still = SimpleNamespace(zero_grad=model.zero_grad, step=lambda: None)
    model.optimizers = lambda: [still, still]
    model.manual_backward = lambda loss, inputs: loss.backward(inputs=inputs)
    model.log_mean = lambda *_: None
    yield "warmup", model.generator_step(batch, adversarial=False)
    yield "generator", model.generator_step(batch, adversarial=True)
    yield "adversary", model.adversary_step(batch)


both = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
every = pytest.mark.parametrize("name", NAMES)


@both
@every
def test_losses_and_gradients(name, dtype):
    golden = Golden(name)
    model, batch = golden.model(dtype).train(), golden.batch(dtype)
    losses = golden.under("loss/")
    for term, value in terms_of(model, batch).items():
        close(value, losses.pop(term), TOLERANCE[dtype], term)
    if golden.kind == "cpa":
        for step, loss in cpa_steps(model, batch):
            close(loss, losses.pop(step), TOLERANCE[dtype], step)
            golden.compare_gradients(model, f"grad/{step}/", dtype)
    else:
        loss = model.loss(batch)
        loss.backward()
        close(loss, losses.pop("training"), TOLERANCE[dtype], "training")
        golden.compare_gradients(model, "grad/", dtype)
    assert not losses, "every loss of the reference is compared"


@both
@every
def test_predictions(name, dtype):
    golden = Golden(name)
    batch, tolerance = golden.batch(dtype, counterfactual=True), 1e-6
    expected = {key: value for key, value in golden.arrays.items() if key.split("_")[0] == "prediction"}
    assert expected
    for key, value in expected.items():
        more = {"generative_counterfactual": "generative" in key} if golden.kind == "sams_vae" else {}
        model = golden.model(dtype, **more).eval()
        model.prediction_noise = Given(golden.arrays, "prediction", still=key.endswith("eps0"))
        with torch.inference_mode():
            close(model.predict(batch), value, tolerance, key)
        if key == "prediction_eps0" and golden.kind in ("cpa", "biolord"):
            model.prediction_noise = None  # what is predicted unless samples are asked for
            close(model.predict(batch), value, tolerance, "the mean")


@pytest.mark.parametrize("name", [name for name in NAMES if Golden(name).kind == "sams_vae"])
def test_rows_of_effects_and_masks(name):
    golden = Golden(name)
    model, batch = golden.model(torch.float64), golden.batch(torch.float64)
    masks = model._masks(model.noise)
    effects = model._effects(batch, masks, model.noise)
    assert effects.cells.tolist() == golden.arrays["batch/effect_rows_cell"].tolist()
    assert effects.tokens.tolist() == golden.arrays["batch/effect_rows_token"].tolist()
    if "mask_training" in golden.arrays:
        assert torch.equal(masks.to(torch.uint8), torch.from_numpy(golden.arrays["mask_training"]))
