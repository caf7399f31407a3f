"""The contract of every model of the zoo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, ClassVar

import torch
from lightning import LightningModule
from torch import Tensor

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.noise import FixedNoise, Noise

CHECKPOINT_KEY = "perturbench_lamin"
CHECKPOINT_SCHEMA = "1"


class PerturbationModel(LightningModule):
    """Predicts cells under a perturbation from control cells; one subclass a model.

    A subclass defines :meth:`predict`, and :meth:`loss` where that is not the mean squared error of the
    prediction. This class trains it, validates every model by the same :meth:`error`, and says in the checkpoint,
    in plain values, what is needed to rebuild the model and where its data came from.

    Args:
        hyperparameters: of the subclass's ``hyperparameters_type``.
        vocabulary: what the training cells contain.

    Attributes:
        name: the name in the registry.
        hyperparameters_type: the dataclass of its hyperparameters.
        train_sampling: how training batches are sampled.
        val_sampling: how validation batches are sampled: the same cells for all, so that ``val_loss`` compares.
        epochs: how many epochs a fit takes where that is fixed, else None.
        loss_sums_genes: whether :meth:`loss` is a sum over genes; ``train_loss`` in the history is then divided by
            their number, so that it stands in the units of ``val_loss``.
        architecture: raised whenever the same hyperparameters come to mean other layers or another use of them, so
            that an older checkpoint is refused.
        noise: where training draws from.
        prediction_noise: where predictions draw from; None, for the means of what has a distribution, unless there
            is a hyperparameter ``sample_prediction`` that asks for samples.
        provenance: what data it was trained on; strings.
        fingerprint: of these data, see :func:`~perturbench_lamin.loading.fingerprint.fingerprint`.
    """

    name: ClassVar[str]
    hyperparameters_type: ClassVar[type[Hyperparameters]]
    train_sampling: ClassVar[str] = "control_matched"
    val_sampling: ClassVar[str] = "control_matched"
    epochs: ClassVar[int | None] = None
    loss_sums_genes: ClassVar[bool] = False
    architecture: ClassVar[int] = 1

    def __init__(self, hyperparameters: Hyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.hyperparameters, self.vocabulary = hyperparameters, vocabulary
        self.provenance: Mapping[str, str] = {}
        self.fingerprint: Mapping[str, str] = {}
        self.noise = Noise()
        sampled = getattr(hyperparameters, "sample_prediction", False)
        self.prediction_noise: Noise | None = FixedNoise() if sampled else None
        self.save_hyperparameters({"model": self.name, **asdict(hyperparameters)})

    @classmethod
    def known_tokens(
        cls, hyperparameters: Hyperparameters, tokens: Sequence[str], genes: Sequence[str]
    ) -> tuple[str, ...]:
        """Which of these tokens the model can predict although no training cell has them; none by default.

        Args:
            hyperparameters: of the subclass's ``hyperparameters_type``.
            tokens: all tokens of the curated file.
            genes: its genes.
        """
        return ()

    @classmethod
    def predicts_unseen(cls) -> bool:
        """Whether it may know perturbations that no training cell has, see :meth:`known_tokens`."""
        return cls.known_tokens.__func__ is not PerturbationModel.known_tokens.__func__  # type: ignore[attr-defined]

    def predict(self, batch: Batch) -> Tensor:
        """The predicted cells.

        Args:
            batch: at least one cell.

        Returns:
            cells × genes in log1p space, one row for each row of ``batch.controls``.
        """
        raise NotImplementedError

    def forward(self, batch: Batch) -> Tensor:
        """The same as :meth:`predict`."""
        return self.predict(batch)

    def error(self, batch: Batch) -> Tensor:
        """The mean of (predicted − observed)² over all cells and genes of the batch; a scalar."""
        return torch.nn.functional.mse_loss(self.predict(batch), batch.target)

    def loss(self, batch: Batch) -> Tensor:
        """What training lowers; a scalar. The :meth:`error` unless a subclass says otherwise."""
        return self.error(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """The loss of one training batch."""
        loss = self.loss(batch)
        self.log_train_loss(loss, batch)
        return self.weighted(loss, batch)

    def weighted(self, loss: Tensor, batch: Batch) -> Tensor:
        """What to lower: where several processes share a batch, their parts may differ in size."""
        return loss if batch.weight == 1 else loss * batch.weight

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The error of the predictions of one validation batch, whatever the training lowers."""
        error = self.error(batch)
        self.log_mean("val_loss", error, batch)
        return error

    def configure_optimizers(self) -> Any:
        """Adam, and a learning rate divided by 5 after 15 epochs without a better ``val_loss``."""
        return self.adam(self.parameters())

    def adam(self, parameters: Iterable[torch.nn.Parameter]) -> dict[str, Any]:
        """An optimiser with the model's learning rate and weight decay, and its schedule."""
        settings = self.hyperparameters
        assert isinstance(settings, GradientHyperparameters)
        # Fused: one pass over the weights instead of a dozen, which on a CPU takes longer than a small gradient.
        optimizer = torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.wd, fused=True)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.2, patience=15)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Do nothing: :meth:`on_train_epoch_end` steps the scheduler, before checkpoints are written.

        Lightning steps it after them, so that a resumed training would miss a step.
        """

    def on_train_epoch_end(self) -> None:
        """Step the schedule of every learning rate."""
        found: Any = self.lr_schedulers()
        metric = self.trainer.callback_metrics.get("val_loss")
        if found is None or metric is None:
            return
        for scheduler in found if isinstance(found, list) else [found]:
            scheduler.step(metric)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the model, in plain values."""
        checkpoint[CHECKPOINT_KEY] = {
            "schema": CHECKPOINT_SCHEMA,
            "version": version("perturbench-lamin"),
            "model": self.name,
            "architecture": self.architecture,
            "hyperparameters": asdict(self.hyperparameters),
            "vocabulary": self.vocabulary.to_dict(),
            "provenance": dict(self.provenance),
            "fingerprint": dict(self.fingerprint),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As :meth:`require_architecture`: a training that is resumed checks it, too."""
        self.require_architecture(checkpoint[CHECKPOINT_KEY], where="the checkpoint to go on from")

    def require_architecture(self, written: Mapping[str, Any], *, where: object) -> None:
        """Check that weights are of these layers.

        Args:
            written: what a checkpoint says of its model.
            where: the checkpoint.

        Raises:
            InputError: they are of another architecture of the model.
        """
        found = written.get("architecture", 1)
        if found != self.architecture:
            raise InputError(
                f"A checkpoint of architecture {found} of {self.name}, this package has {self.architecture}",
                where=where,
                fix="Train the model again, or use the package version that wrote it"
                f" ({written.get('version', 'not said')}).",
            )

    def log_train_loss(self, loss: Tensor, batch: Batch) -> None:
        """Log ``train_loss``, per gene."""
        scale = len(self.vocabulary.genes) if self.loss_sums_genes else 1
        self.log_mean("train_loss", loss.detach() / scale, batch)

    def log_mean(self, name: str, value: Tensor, batch: Batch) -> None:
        """Log a mean over the cells of the epoch."""
        # Weighted by cells: without batch_size a small last batch would count as much as a full one.
        cells = len(batch) if batch.weight else 0
        self.log(name, value, on_step=False, on_epoch=True, prog_bar=True, batch_size=cells, sync_dist=True)
