"""Predict the cells of a split from its own controls, with a trained model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import anndata as ad
import numpy as np
import pandas as pd
import torch

from perturbench_lamin.contracts import SPLIT_NAMES, CuratedInfo
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.files import atomic_path, require_apart
from perturbench_lamin.loading.counterfactuals import Counterfactuals, Group
from perturbench_lamin.loading.curated import CuratedData, split_labels
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.splitting.summary import tell_seen
from perturbench_lamin.training.checkpoint import CheckpointInfo, load_model
from perturbench_lamin.training.device import torch_device
from perturbench_lamin.training.exhaustion import exhaustion_explained
from perturbench_lamin.training.prediction_file import write_prediction

KINDS = ("cells", "mean")
C = TypeVar("C", bound=Counterfactuals)


@dataclass(frozen=True)
class PredictConfig:
    """How to predict.

    Attributes:
        kind: ``cells`` for predicted cells, ``mean`` for their mean, one row for each (state, condition).
        max_control_cells: control cells of each covariate state at most.
        seed: seed of the choice of controls.
        batch_size: cells in a batch.
        include_control: whether the control condition is predicted too.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
    """

    kind: str = "cells"
    max_control_cells: int = 1000
    seed: int = 0
    batch_size: int = 4000
    include_control: bool = False
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"Unknown kind {self.kind!r}", where="predict", fix=nearest(self.kind, KINDS))

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return torch_device(self.accelerator)


def predict(
    checkpoint: str | Path,
    curated_path: str | Path,
    split: pd.Series | str | Path,
    which: str = "test",
    out: str | Path | None = None,
    *,
    config: PredictConfig | None = None,
    provenance: Mapping[str, str] | None = None,
    other_data: bool = False,
) -> ad.AnnData | Path:
    """Predict every (covariate state, condition) of a split.

    Each is predicted from up to ``max_control_cells`` control cells of the same split and state, the same ones
    for all conditions of the state. Only these cells' expression is read, and a prediction that goes to a file
    is never in memory as a whole.

    Args:
        checkpoint: a checkpoint of :func:`~perturbench_lamin.training.fit.fit`.
        curated_path: a curated h5ad file with the genes of the training.
        split: cell → "train", "val", "test" or "" (excluded), or the file of it.
        which: the split to predict.
        out: an h5ad file to write, a piece at a time; None to return everything in memory.
        config: how to predict.
        provenance: further strings for ``uns["prediction"]``.
        other_data: whether the file may hold other cells, or another version of them, than the model was
            trained on.

    Returns:
        The prediction: ``X`` float32 log1p in the order of the checkpoint's genes; ``obs`` the condition, the
        covariates, and ``control_cell`` (``cells``) or ``n_cells`` (``mean``); ``uns["prediction"]`` what it
        was made of. The path where ``out`` is given.

    Raises:
        InputError: the genes differ, the split has conditions or covariate values that training lacked, a
            state has no controls, or the file is another version than the model was trained on.
        ExhaustedError: memory ran out.
    """
    config = config or PredictConfig()
    if which not in SPLIT_NAMES:
        raise InputError(f"Unknown split {which!r}", where="which", fix=nearest(which, SPLIT_NAMES))
    file = CuratedFile.of(curated_path)
    if out is not None:
        require_apart(out, checkpoint, file.path)
    model, info = load_model(checkpoint)
    cells = cells_for(file, info)
    labels = file.split(split)
    if which != "train":
        tell_seen(cells.obs, pd.Series(split_labels(labels, cells), index=cells.obs.index), cells.info.keys, (which,))
    asked = split_counterfactuals(cells, labels, which, info, config)
    asked, data = with_controls(asked, cells, file, info, other_data=other_data)
    return predict_groups(
        model, asked, data, out, config, prediction_uns(info, data.info, which, config, provenance or {})
    )


def cells_for(file: CuratedFile, info: CheckpointInfo) -> CuratedData:
    """The tables of a file's cells, and the embedding that the model reads.

    Raises:
        InputError: the genes differ, or there is no such embedding.
    """
    data = file.cells(info.hyperparameters.get("embedding", ""))
    info.require_genes(data.genes, where=data.source)
    return data


def rows_for(
    file: CuratedFile, cells: CuratedData, rows: np.ndarray, info: CheckpointInfo, *, other_data: bool = False
) -> CuratedData:
    """The expression of some cells, the genes in the model's order, after a check of which data they are.

    Args:
        file: the file.
        cells: of :func:`cells_for`.
        rows: which cells, ascending, each once; others may be empty.
        info: of the checkpoint.
        other_data: whether other data than the model was trained on are meant.

    Raises:
        InputError: the file is another version than the model was trained on.
    """
    data, seen = file.rows(cells, rows)
    if not other_data:
        info.require_data(seen, where=data.source)
    return in_order_of(data, info.vocabulary.genes)


def with_controls(
    asked: C, cells: CuratedData, file: CuratedFile, info: CheckpointInfo, *, other_data: bool
) -> tuple[C, CuratedData]:
    """Read the controls that stand for the groups, and no other cell.

    Args:
        asked: the groups, of the file's cells without expression.
        cells: of :func:`cells_for`.
        file: the file.
        info: of the checkpoint.
        other_data: whether other data than the model was trained on are meant.

    Returns:
        The same groups with expression, and the data, the genes in the model's order.

    Raises:
        InputError: as :func:`rows_for`.
    """
    controls = np.unique(np.concatenate([group.rows for group in asked.groups()]))
    data = rows_for(file, cells, controls, info, other_data=other_data)
    return replace(asked, data=replace(asked.data, X=data.X)), data


def split_counterfactuals(
    data: CuratedData, split: pd.Series, which: str, info: CheckpointInfo, config: PredictConfig
) -> Counterfactuals:
    """Every (covariate state, condition) of a split.

    Raises:
        InputError: the split has conditions or covariate values that training lacked, or a state has no controls.
    """
    cells = SplitData.build(data, split_labels(split, data), which, info.vocabulary)
    return Counterfactuals(cells, config.max_control_cells, config.seed, config.batch_size, config.include_control)


def predict_groups(
    model: PerturbationModel,
    asked: Counterfactuals,
    data: CuratedData,
    out: str | Path | None,
    config: PredictConfig,
    uns: dict[str, Any],
) -> ad.AnnData | Path:
    """Predict the groups that are asked for.

    Args:
        model: a trained model.
        asked: the groups, and the controls that stand for each.
        data: the curated file, its genes in the model's order.
        out: an h5ad file to write, a piece at a time; None to return everything in memory.
        config: how to predict.
        uns: what the file says of itself.

    Returns:
        As :func:`predict`.
    """
    task = _Prediction(model.to(config.device), asked, config)
    obs, var = task.obs(data), pd.DataFrame(index=pd.Index(data.genes, name="gene"))
    with exhaustion_explained("prediction", f"Lower batch_size ({config.batch_size:,}) or max_control_cells."):
        if out is None:
            return ad.AnnData(np.concatenate(list(task.pieces())), obs=obs, var=var, uns=uns)
        with atomic_path(out) as temporary:
            write_prediction(temporary, obs, var, uns, task.pieces())
    return Path(out)


def in_order_of(data: CuratedData, genes: tuple[str, ...]) -> CuratedData:
    """The data with its columns in another order of the same genes."""
    if data.genes == genes:
        return data
    place = {gene: column for column, gene in enumerate(data.genes)}
    X = data.X[:, [place[gene] for gene in genes]]
    X.sort_indices()
    return replace(data, X=X, genes=genes)


@dataclass(frozen=True)
class _Prediction:
    """One prediction: which groups, and their rows block by block."""

    model: PerturbationModel
    counterfactuals: Counterfactuals
    config: PredictConfig

    def pieces(self) -> Iterator[np.ndarray]:
        """Blocks of rows of the prediction, in the order of :meth:`obs`."""
        for group in self.counterfactuals.groups():
            if self.config.kind == "mean":
                total = sum(block.sum(0, dtype=np.float64) for block in self._cells(group))
                yield (total / len(group)).astype(np.float32)[None]
            else:
                yield from self._cells(group)

    def obs(self, data: CuratedData) -> pd.DataFrame:
        """The table of the predicted rows."""
        groups = self.counterfactuals.groups()
        sizes = [1] * len(groups) if self.config.kind == "mean" else [len(group) for group in groups]
        keys = data.info.keys
        columns: dict[str, Any] = {keys.perturbation: _repeated([group.condition for group in groups], sizes)}
        for place, key in enumerate(keys.covariates):
            columns[key] = _repeated([group.state[place] for group in groups], sizes)
        if self.config.kind == "mean":
            columns["n_cells"] = np.array([len(group) for group in groups])
        else:
            columns["control_cell"] = data.obs.index[np.concatenate([group.rows for group in groups])].astype(str)
        names = pd.Index([f"prediction_{number}" for number in range(sum(sizes))], name="cell")
        return pd.DataFrame(columns, index=names)

    @torch.inference_mode()
    def _cells(self, group: Group) -> Iterator[np.ndarray]:
        for batch in self.counterfactuals.batches(group):
            predicted = self.model.predict(batch.to(self.config.device))
            yield predicted.to("cpu", torch.float32).numpy()


def _repeated(values: list[str], sizes: list[int]) -> pd.Categorical:
    return pd.Categorical(np.repeat(np.array(values, dtype=object), sizes), categories=sorted(set(values)))


def prediction_uns(
    info: CheckpointInfo, curated: CuratedInfo, which: str, config: PredictConfig, provenance: Mapping[str, str]
) -> dict[str, Any]:
    """What a prediction says of itself: the model, its training data, and how it was predicted."""
    block = {
        "model": info.model,
        "hyperparameters": json.dumps(dict(info.hyperparameters), sort_keys=True),
        "trained_on": json.dumps(dict(info.provenance), sort_keys=True),
        "version": info.version,
        "dataset": curated.dataset,
        "split": which,
        "kind": config.kind,
        "max_control_cells": config.max_control_cells,
        "seed": config.seed,
    }
    return {"prediction": block | dict(provenance)}
