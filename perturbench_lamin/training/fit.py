"""Fit a model on a curated file and a frozen split."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import ModelCheckpoint

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.loading.curated import CuratedData, split_labels
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.fingerprint import digest
from perturbench_lamin.loading.placement import Placement
from perturbench_lamin.models.hyperparameters import Hyperparameters
from perturbench_lamin.models.registry import build, hyperparameters, model_class
from perturbench_lamin.splitting.summary import tell_seen
from perturbench_lamin.training.config import SAME_RESULT, TrainConfig
from perturbench_lamin.training.device import processes, torch_device
from perturbench_lamin.training.exhaustion import exhaustion_explained
from perturbench_lamin.training.run_folder import FILES, RunFolder
from perturbench_lamin.training.surroundings import quiet, reproducible, return_free_memory, watched
from perturbench_lamin.training.trainer import Callbacks, CheckpointFactory, trainer_of


@dataclass(frozen=True)
class FitResult:
    """What a training gave.

    Attributes:
        best_checkpoint: the checkpoint of the lowest ``val_loss``.
        last_checkpoint: the checkpoint of the last epoch.
        history: one row an epoch: epoch, lr, train_loss (gradient models), val_loss.
        stopped: ``max_epochs`` or ``early_stopping``.
        resumed_from: the epochs that an earlier, interrupted call had finished; 0 for a fresh training.
        memory: where the expression was held, and why.
    """

    best_checkpoint: Path
    last_checkpoint: Path
    history: pd.DataFrame
    stopped: str
    resumed_from: int = 0
    memory: str = ""


def fit(
    curated_path: str | Path | CuratedFile,
    split: pd.Series | str | Path,
    config: TrainConfig,
    out_dir: str | Path,
    *,
    callbacks: Sequence[Callback] = (),
    logger: Any = None,
    provenance: Mapping[str, str] | None = None,
    checkpoint_callback: CheckpointFactory = ModelCheckpoint,
    progress: bool | None = None,
    resume: bool | None = None,
) -> FitResult:
    """Train a model, or go on with a training that was interrupted.

    The same configuration, data and package version in ``out_dir`` resumes from ``last.ckpt``, to the same
    weights as without the interruption, or returns the result when it had finished. Anything else starts
    anew, after removing the earlier training's own files from the folder.

    Args:
        curated_path: a curated h5ad file; a :class:`~perturbench_lamin.loading.curated_file.CuratedFile` is read
            once for several trainings.
        split: cell → "train", "val", "test" or "" (excluded), or the file of it.
        config: model, hyperparameters and training settings.
        out_dir: folder for ``best.ckpt``, ``last.ckpt``, ``history.csv``, ``training.json``, ``result.json``.
        callbacks: further Lightning callbacks.
        logger: a Lightning logger or several; none by default.
        provenance: what the data are, such as the uids and hashes of curated file and split; kept in the
            checkpoint, with name and SHA-256 of each file that a hyperparameter names.
        checkpoint_callback: makes the callback that keeps the best checkpoint. It is called with ``dirpath``,
            ``monitor``, ``mode``, ``save_top_k`` and ``enable_version_counter``; where its ``filename`` is
            None it becomes ``best``.
        progress: whether to show a progress bar; by default in terminals and notebooks.
        resume: True where ``out_dir`` must hold this very training, False to start anew even so.

    Raises:
        InputError: file, split and configuration do not fit each other, another process trains in ``out_dir``,
            there is another training than the one to resume, or a file that a hyperparameter names has changed
            since the training in ``out_dir`` began.
        IntegrityError: ``resume`` is True and the checkpoint to resume from is damaged; otherwise the training starts
            anew, and says so.
        DivergenceError: a loss is NaN or infinite; checkpoints of earlier epochs stay.
        ExhaustedError: memory ran out.
    """
    parsed = hyperparameters(config.model, config.hyperparameters)  # a misspelling shows before the data are read
    words = {str(name): str(value) for name, value in (provenance or {}).items()}
    files = parsed.digests()
    folder = RunFolder(Path(out_dir).absolute())
    shown = watched() if progress is None else progress
    device = torch_device(config.accelerator)  # one that is not there shows before the folder is made
    file = CuratedFile.of(curated_path)
    split = file.split(split)
    with _alone(folder), exhaustion_explained("training", _advice(config)):
        placement = file.place(config.memory, device, processes(config.accelerator, config.devices))
        _say(placement.reason, shown)
        embedding = getattr(parsed, "embedding", "")
        data, seen = file.whole(placement.read_as, scratch=folder.path, embedding=embedding)
        if rank_zero_only.rank == 0 and not isinstance(curated_path, CuratedFile):  # a search tells it once itself
            _tell_names(data, split)
        batches = _batches(data, split, config, placement, parsed)
        del data, file  # on a device it is not needed here
        training = _identity(seen, split, config, words, files)
        if finished := _open(folder, training, resume):
            return _finished(folder, finished)
        return_free_memory()
        with reproducible(config.seed), quiet():
            model = build(config.model, config.hyperparameters, batches.vocabulary)
            model.provenance, model.fingerprint = {**words, **_told(parsed, files)}, seen
            own = Callbacks.make(config, folder, checkpoint_callback)
            trainer = trainer_of(model, config, folder, [*callbacks, *own.ordered()], logger, shown)
            trainer.fit(model, batches, ckpt_path=_start(folder, training, resume), weights_only=True)
        return _finish(folder, trainer, own, placement)


def _tell_names(data: CuratedData, split: pd.Series) -> None:
    """Log what a reader must know of the conditions: of their names, and which are held out and yet trained on."""
    for remark in data.remarks:
        logging.getLogger(__name__).warning("%s", remark)
    tell_seen(data.obs, pd.Series(split_labels(split, data), index=data.obs.index), data.info.keys)


def _batches(
    data: CuratedData, split: pd.Series, config: TrainConfig, placement: Placement, parsed: Hyperparameters
) -> PerturbationData:
    kind = model_class(config.model)
    ahead = config.prefetch
    if ahead is None:
        elsewhere = torch_device(config.accelerator).type != "cpu" and placement.where != "device"
        ahead = 2 if elsewhere else int(placement.where == "disk")
    tokens = sorted(set(data.info.conditions["token"].astype(str)))
    return PerturbationData(
        data,
        split,
        batch_size=config.batch_size,
        seed=config.seed,
        train_sampling=kind.train_sampling,
        val_sampling=kind.val_sampling,
        set_size=getattr(parsed, "cell_set_len", None),
        on_device=placement.where == "device",
        prefetch=ahead,
        known_tokens=kind.known_tokens(parsed, tokens, data.genes),
    )


def _alone(folder: RunFolder) -> AbstractContextManager[Any]:
    """The folder's lock; of several processes of one training the first holds it for all."""
    return folder.alone() if rank_zero_only.rank == 0 else nullcontext()


def _open(folder: RunFolder, training: dict[str, Any], resume: bool | None) -> dict[str, Any] | None:
    """Make the folder this training's own; what it says when the training is finished."""
    if rank_zero_only.rank == 0:
        folder.open(training, resume)
    return folder.result() if folder.holds(training) else None


def _start(folder: RunFolder, training: dict[str, Any], resume: bool | None) -> Path | None:
    """The checkpoint to go on from. The first process may not have cleared the folder when the others look."""
    if not folder.holds(training) or resume is False:
        return None
    try:
        return folder.resumable()
    except IntegrityError as error:
        if resume:
            raise
        # The same weights come of it, only later: not worth a refusal, but to be known.
        _say(f"{error.what} [{error.where}]: the training starts anew.", shown=True)
        return None


def _finish(folder: RunFolder, trainer: Trainer, own: Callbacks, placement: Placement) -> FitResult:
    # Where the strategy starts other processes, what this one's callbacks would know is in the checkpoint alone.
    rows = own.history.rows or folder.rows()
    history = pd.DataFrame(rows).astype({"epoch": "int64"})
    stopped = "early_stopping" if len(history) < trainer.max_epochs else "max_epochs"
    best = Path(own.best.best_model_path)
    if trainer.is_global_zero:
        folder.finish(history, best, stopped=stopped, memory=placement.reason)
    return FitResult(best, folder.last, history, stopped, own.history.resumed_from, placement.reason)


def _finished(folder: RunFolder, said: Mapping[str, str]) -> FitResult:
    best, history = Path(said["best_checkpoint"]), folder.history()
    return FitResult(best, folder.last, history, said["stopped"], memory=said.get("memory", ""))


def _identity(
    seen: Mapping[str, str],
    split: pd.Series,
    config: TrainConfig,
    provenance: Mapping[str, str],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Plain values that differ when the training would: for the decision to resume."""
    labels = split.fillna("").astype(str)
    architecture = model_class(config.model).architecture
    return {
        "config": {name: value for name, value in config.to_dict().items() if name not in SAME_RESULT},
        "version": version("perturbench-lamin"),
        "provenance": dict(provenance),
        "split": digest([*labels.index.astype(str), *labels]),
        "curated": dict(seen),
        **({FILES: dict(files)} if files else {}),
        **({"architecture": architecture} if architecture != 1 else {}),
    }


def _told(parsed: Hyperparameters, files: Mapping[str, str]) -> dict[str, str]:
    """What a checkpoint says of the files that hyperparameters name: they may be moved, or change."""
    names = {f"{name}_file": Path(getattr(parsed, name)).name for name in files}
    return names | {f"{name}_sha256": digest for name, digest in files.items()}


def _advice(config: TrainConfig) -> str:
    steps = [f"batch_size ({config.batch_size:,})"]
    if config.precision == "32-true":
        steps.append("the precision (16-mixed or bf16-mixed)")
    if config.prefetch != 0:
        steps.append("prefetch (0)")
    return f"Lower {', '.join(steps)}" + ("." if config.memory == "disk" else ', or set memory to "disk".')


def _say(sentence: str, shown: bool) -> None:
    logging.getLogger(__name__).info(sentence)
    if shown and rank_zero_only.rank == 0:
        print(sentence, file=sys.stderr)
