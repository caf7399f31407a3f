"""STATE, from its own package."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.external import extra
from perturbench_lamin.models.external.sets import cell_sets
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters

LOSSES = ("energy", "sinkhorn", "se", "mse")
GRADIENT_NORM = 10.0


@dataclass(frozen=True)
class StateHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`State`. The defaults are those of the package's small model (``state_sm``).

    Attributes:
        cell_set_len: cells of a set at most.
        hidden_dim: width of the transformer.
        intermediate_size: width within its feed-forward blocks.
        n_transformer_layers: its blocks.
        n_heads: attention heads; they divide ``hidden_dim``.
        n_encoder_layers: linear layers that encode the perturbations.
        n_decoder_layers: linear layers from the transformer to the genes.
        dropout: probability of dropping a unit between these.
        loss: ``energy`` distance, ``sinkhorn`` divergence, ``se`` (0.01 · sinkhorn + energy) or ``mse``.
        blur: scale of the entropic smoothing of sinkhorn.
        predict_residual: whether the transformer's output is added to the encoded control cell.
        inject_covariates: whether the covariates stand beside the perturbations; in the package they do not.
    """

    lr: float = 1e-4
    wd: float = 0.0
    cell_set_len: int = 128
    hidden_dim: int = 672
    intermediate_size: int = 2688
    n_transformer_layers: int = 4
    n_heads: int = 8
    n_encoder_layers: int = 4
    n_decoder_layers: int = 4
    dropout: float = 0.1
    loss: str = "energy"
    blur: float = 0.05
    predict_residual: bool = True
    inject_covariates: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise InputError(f"Unknown loss {self.loss!r}", where="hyperparameters", fix=nearest(self.loss, LOSSES))
        if self.hidden_dim % self.n_heads:
            raise InputError(
                f"hidden_dim {self.hidden_dim} is no multiple of n_heads {self.n_heads}",
                where="hyperparameters",
                fix="Change one of them.",
            )


class State(PerturbationModel):
    """The state transition model of STATE (Adduri et al., bioRxiv 2025.06.26.661135), package arc-state.

    A transformer without positions turns a set of control cells into a set of perturbed ones; the loss compares
    the two sets as distributions. The network and its loss are the package's, and as there a batch is made of whole
    sets, each of cells of one condition and covariate state with control cells of that state; sets and their order
    are drawn anew in each epoch. Unlike there, a group of n cells becomes ⌈n / cell_set_len⌉ sets of nearly one size:
    no small rest is filled by repeats, and every cell is a target once an epoch.

    A cell's prediction depends on the cells of its set. It trains with Adam at a constant learning rate and a
    gradient norm of at most 10. Perturbations are given as multi-hot tokens. The expression is log1p, not an
    embedding, and predictions are not negative.
    """

    name: ClassVar[str] = "state"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = StateHyperparameters
    train_sampling: ClassVar[str] = "cell_sets"
    val_sampling: ClassVar[str] = "cell_sets"

    def __init__(self, hyperparameters: StateHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        package = extra.STATE.module("state.tx.models.state_transition")
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            # It prints itself, and Lightning warns that one of its settings is a module.
            warnings.simplefilter("ignore")
            self.network = package.StateTransitionPerturbationModel(
                input_dim=len(vocabulary.genes),
                output_dim=len(vocabulary.genes),
                gene_dim=len(vocabulary.genes),
                pert_dim=len(vocabulary.perturbations) + vocabulary.n_covariates * settings.inject_covariates,
                embed_key=None,
                output_space="gene",
                transformer_backbone_key="llama",
                transformer_backbone_kwargs=_backbone(settings),
                **_plain(settings),
            )

    def predict(self, batch: Batch) -> Tensor:
        """Each set of control cells turned into a set of perturbed ones."""
        predicted = torch.empty_like(batch.controls)
        for places in cell_sets(batch, self.settings.cell_set_len):
            predicted[places] = self._transform(batch, places).to(predicted.dtype)
        return predicted

    def loss(self, batch: Batch) -> Tensor:
        """The mean over the batch's sets of the distance between predicted and observed cells."""
        losses = []
        for places in cell_sets(batch, self.settings.cell_set_len):
            value = self.network.loss_fn(self._transform(batch, places), batch.target[places])
            losses.append(value if value.ndim else value.expand(len(places)))  # mse comes averaged over sets
        return torch.cat(losses).mean()

    def configure_optimizers(self) -> Any:
        """Adam at a constant learning rate."""
        return torch.optim.Adam(self.parameters(), lr=self.settings.lr, weight_decay=self.settings.wd)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip the norm of the gradient."""
        nn.utils.clip_grad_norm_(self.parameters(), GRADIENT_NORM)

    def _transform(self, batch: Batch, places: Tensor) -> Tensor:
        """The predicted cells of sets of one size (sets × cells × genes)."""
        inputs = [batch.perturbations, *[batch.covariates] * self.settings.inject_covariates]
        self.network.cell_sentence_len = places.shape[1]
        flat = places.flatten()
        cells = {"pert_emb": torch.cat(inputs, dim=1)[flat], "ctrl_cell_emb": batch.controls[flat]}
        predicted: Tensor = self.network(cells)
        return predicted.view(*places.shape, -1)


def _plain(settings: StateHyperparameters) -> dict[str, Any]:
    names = ("cell_set_len", "hidden_dim", "n_encoder_layers", "n_decoder_layers", "dropout", "loss", "blur", "lr")
    values = {name: getattr(settings, name) for name in names}
    return values | {"predict_residual": settings.predict_residual, "use_basal_projection": False}


def _backbone(settings: StateHyperparameters) -> dict[str, Any]:
    """The transformer as in the package's configurations, but without rows for words: it is given vectors."""
    return {
        "bidirectional_attention": True,
        "max_position_embeddings": settings.cell_set_len,
        "hidden_size": settings.hidden_dim,
        "intermediate_size": settings.intermediate_size,
        "num_hidden_layers": settings.n_transformer_layers,
        "num_attention_heads": settings.n_heads,
        "num_key_value_heads": settings.n_heads,
        "head_dim": settings.hidden_dim // settings.n_heads,
        "vocab_size": 4,
        "pad_token_id": 0,
        "use_cache": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
    }
