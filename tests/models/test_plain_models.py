"""The yardsticks of the training benchmark compute what the package's models compute."""

from __future__ import annotations

import pytest
import torch
from bare_loop import BareLoop
from model_tools import SMALL, fitted, fresh, module
from plain_models import Cells, copy_weights, twin
from tiny_curated import Tiny, random_split

from perturbench_lamin.loading.batches import Batch, BatchLoader, sampling
from perturbench_lamin.models.registry import build
from perturbench_lamin.training.surroundings import reproducible

DATA = Tiny(treatments=("none", "drug", "both"), n_pairs=4).data()
SPLIT = random_split(DATA)
SIMPLE = {"disable_sparsity": True, "disable_e_dist": True}
CASES = {
    "linear": ("linear", {"softplus_output": True}),
    "linear without covariates": ("linear", {"inject_covariates": False}),
    "latent_additive": ("latent_additive", {}),
    "latent_additive without covariates": (
        "latent_additive",
        {"inject_covariates_encoder": False, "inject_covariates_decoder": False, "n_layers": 2},
    ),
    "decoder_only": ("decoder_only", {"n_layers": 2}),
    "decoder_only of covariates": ("decoder_only", {"use_perturbations": False}),
    "decoder_only of perturbations": ("decoder_only", {"use_covariates": False, "softplus_output": False}),
    "cpa": ("cpa", {"adv_steps": 3, "n_layers_encoder": 2, "adv_classifier_n_layers": 2}),
    "cpa without affine norms": ("cpa", {"adv_steps": 2, "elementwise_affine": False, "softplus_output": True}),
    "cpa without covariates": ("cpa", {"adv_steps": 2, "use_covariates": False}),
    "cpa without adversary": ("cpa", {"use_adversary": False}),
    "sams_vae": ("sams_vae", {}),
    "sams_vae without covariates": (
        "sams_vae",
        {"inject_covariates_encoder": False, "inject_covariates_decoder": False},
    ),
    "sams_vae (S)": ("sams_vae", SIMPLE),
    "biolord": ("biolord", {"penalty_weight": 2.5}),
}


def batches(name: str, size: int = 40) -> list[tuple[Batch, Cells]]:
    """Some batches of a model's training, for the model and for its twin: the same cells."""
    train = module(DATA, SPLIT, name).train
    options = {"batch_size": size, "seed": 3, "shuffle": True}
    own = model_sampling(name)
    dense = "control_matched" if own == "grouped" else own
    pairs = zip(
        BatchLoader(sampling(own, train), **options), BatchLoader(sampling(dense, train), **options), strict=True
    )
    return [(b, Cells(d.target, d.controls, d.perturbations, d.covariates)) for b, d in pairs if len(b) == size]


def model_sampling(name: str) -> str:
    return fresh(name, DATA, SMALL[name])[0].train_sampling


def token_cells(name: str):
    return module(DATA, SPLIT, name).train.cells_with_token()


@pytest.mark.parametrize("case", CASES)
def test_a_twin_has_the_same_loss_and_gradient(case):
    name, values = CASES[case]
    model, vocabulary = fresh(name, DATA, SMALL[name] | values)
    plain = twin(name, model.hyperparameters, vocabulary, token_cells(name))
    copy_weights(model, plain)
    BareLoop(model, token_cells=token_cells(name))
    batch, cells = batches(name)[0]
    torch.manual_seed(1)
    ours = model.loss(batch)
    ours.backward()
    torch.manual_seed(1)
    theirs = plain.loss(cells)
    theirs.backward()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    for quick, slow in zip(model.parameters(), plain.parameters(), strict=True):
        assert (quick.grad is None) == (slow.grad is None)
        if slow.grad is not None:
            torch.testing.assert_close(quick.grad, slow.grad, rtol=1e-3, atol=1e-4 * float(slow.grad.abs().max()))


@pytest.mark.parametrize(("case", "warm"), [*((case, False) for case in CASES), ("cpa", True)])
def test_a_twin_takes_the_same_steps(case, warm):
    """The losses of five steps: each but the first depends on the steps before."""
    name, values = CASES[case]
    model, vocabulary = fresh(name, DATA, SMALL[name] | values)
    plain = twin(name, model.hyperparameters, vocabulary, token_cells(name))
    copy_weights(model, plain)
    loop = BareLoop(model, epoch=0 if warm else 1000, token_cells=token_cells(name))
    plain.start()
    losses: list[list[float]] = [[], []]
    for number, (batch, cells) in enumerate(batches(name, 20)[:5]):
        torch.manual_seed(number)
        losses[0].append(loop.step(batch, number))
        torch.manual_seed(number)
        losses[1].append(plain.step(cells, number, warm=warm))
    assert len(losses[0]) == 5
    torch.testing.assert_close(torch.tensor(losses[0]), torch.tensor(losses[1]), rtol=1e-3, atol=1e-6)
    assert len(set(losses[0])) == 5


@pytest.mark.parametrize("name", ["cpa", "biolord"])
def test_the_bare_loop_takes_lightnings_steps(name):
    """Two epochs, the second after CPA's warm-up."""
    values = SMALL[name] | ({"n_warmup_epochs": 0} if name == "cpa" else {})
    trained, _ = fitted(name, DATA, SPLIT, values, epochs=2)
    data = module(DATA, SPLIT, name)
    loader = data.train_dataloader()
    with reproducible(0):
        model = build(name, values, data.vocabulary)
        loop = BareLoop(model)
        for epoch in range(2):
            model.trainer.current_epoch = epoch
            loader.set_epoch(epoch)
            for number, batch in enumerate(loader):
                loop.step(batch, number)
    for one, other in zip(trained.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)
