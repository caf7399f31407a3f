"""One split's cells: where their expression is, what was done to them, and which controls match them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from perturbench_lamin.conditions import covariate_states
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.loading.curated import CuratedData
from perturbench_lamin.loading.expression import Expression, device_of
from perturbench_lamin.loading.vocabulary import State, Vocabulary, condition_tokens

CODES = {"perturbations": 0, "condition_ids": 0, "covariates": 1, "state_ids": 1}
"""Which of (condition, state) each of a split's codes is of."""


@dataclass(frozen=True)
class ControlGroups:
    """The control cells of each covariate state, as one list of rows with a slice for each state.

    Attributes:
        rows: rows of the expression matrix, state after state, ascending within a state.
        starts: where each state's slice starts (states).
        counts: how many controls each state has (states).
    """

    rows: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def of(self, state: int) -> np.ndarray:
        """The control rows of one state (its place in the split's ``states``)."""
        return self.rows[self.starts[state] : self.starts[state] + self.counts[state]]

    def draw(self, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each given state one of its control rows, uniformly and with replacement."""
        return self.rows[self.starts[states] + rng.integers(0, self.counts[states])]


@dataclass(frozen=True)
class SplitData:
    """The cells of one split. The expression matrix is the whole file's, shared by all splits, never copied.

    Attributes:
        name: "train", "val" or "test".
        X: expression of all cells of the file, canonical CSR of float32: in memory, on disk or on a device.
        rows: the split's rows of ``X`` (cells).
        condition: each cell's place in ``conditions`` (cells).
        state: each cell's place in ``states`` (cells).
        is_control: whether a cell is a control (cells).
        conditions: the split's conditions, sorted.
        states: the split's covariate states, sorted.
        perturbations: multi-hot tokens of each condition (conditions × tokens, float32).
        covariates: one-hot covariates of each state (states × n_covariates, float32).
        condition_ids: each condition's id in the vocabulary, -1 where training lacks it (conditions).
        state_ids: each state's id in the vocabulary, -1 where training lacks that combination (states).
        controls: the split's control cells of each state.
        embedding: an embedding of all cells of the file (cells × width, float32), shared like ``X``; or None.
    """

    name: str
    X: Expression
    rows: np.ndarray
    condition: np.ndarray
    state: np.ndarray
    is_control: np.ndarray
    conditions: tuple[str, ...]
    states: tuple[State, ...]
    perturbations: np.ndarray
    covariates: np.ndarray
    condition_ids: np.ndarray
    state_ids: np.ndarray
    controls: ControlGroups
    embedding: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def codes(self, condition: np.ndarray, state: np.ndarray) -> dict[str, Any]:
        """What a batch says of conditions and states, by the names of its fields, where batches are made.

        Args:
            condition: places in ``conditions``.
            state: places in ``states``, as many.
        """
        if device_of(self.X).type != "cpu":
            tables, device = self._codes_on_device, device_of(self.X)
            places = torch.from_numpy(np.stack([condition, state])).to(device)
            return {name: table[places[which]] for name, (which, table) in tables.items()}
        # By numpy: torch's threads would wait for more, busily, on the cores that gather the next rows.
        taken = {name: np.take(getattr(self, name), (condition, state)[which], axis=0) for name, which in CODES.items()}
        return {name: torch.from_numpy(values) for name, values in taken.items()}

    @cached_property
    def _codes_on_device(self) -> dict[str, tuple[int, Tensor]]:
        device = device_of(self.X)
        return {name: (which, torch.from_numpy(getattr(self, name)).to(device)) for name, which in CODES.items()}

    @classmethod
    def build(cls, data: CuratedData, labels: np.ndarray, name: str, vocabulary: Vocabulary) -> SplitData:
        """The cells labelled ``name``, encoded by a vocabulary.

        Raises:
            InputError: the split has no cells, or cells of tokens or covariate values that training lacks.
        """
        rows = np.flatnonzero(labels == name)
        where = f"{data.source}, {name} cells"
        if not len(rows):
            raise InputError(f"The split has no {name} cells", where=where, fix="Use a split that has some.")
        obs, keys = data.obs.iloc[rows], data.info.keys
        vocabulary.require_known(obs, data.info, where=where)
        condition, conditions = _codes(obs[keys.perturbation].astype(str))
        state, states = _codes(covariate_states(obs, keys.covariates))
        is_control = np.array([label == keys.control for label in conditions], dtype=bool)[condition]
        tokens = condition_tokens(conditions, data.info)
        return cls(
            name=name,
            X=data.X,
            rows=rows,
            condition=condition,
            state=state,
            is_control=is_control,
            conditions=conditions,
            states=states,
            perturbations=vocabulary.encode_perturbations(tokens.values()),
            covariates=vocabulary.encode_states(states),
            condition_ids=vocabulary.condition_ids(tokens),
            state_ids=_ids(states, vocabulary.states),
            controls=_control_groups(rows, state, is_control, len(states)),
            embedding=data.embedding,
        )

    def require_matched(self) -> None:
        """Check that there are perturbed cells, and controls of the state of each.

        Raises:
            InputError: there are none, or some states have no controls.
        """
        self.require_controls()
        if self.is_control.all():
            raise InputError("No perturbed cells", where=f"{self.name} cells", fix="Use a split with some.")

    def embedded(self, rows: np.ndarray) -> Tensor | None:
        """The embeddings of the given rows of ``X`` (rows × width), None where the data have none."""
        return None if self.embedding is None else torch.from_numpy(self.embedding[rows])

    def cells_with_token(self) -> np.ndarray:
        """How many cells of the split carry each token of the vocabulary (tokens, int64)."""
        counts = np.bincount(self.condition, minlength=len(self.conditions))
        return counts @ self.perturbations.astype(np.int64)

    def require_controls(self) -> None:
        """Check that every state with perturbed cells has control cells in this split.

        Raises:
            InputError: some states have none; the message names them and counts their cells.
        """
        perturbed = np.bincount(self.state[~self.is_control], minlength=len(self.states))
        bare = np.flatnonzero((perturbed > 0) & (self.controls.counts == 0))
        if len(bare):
            raise InputError(
                f"{int(perturbed[bare].sum()):,} perturbed cells have no control of their covariate state",
                where=f"{self.name} cells",
                fix=f"Split so that these states have controls: {some('/'.join(self.states[i]) for i in bare)}.",
            )


def _codes(values: pd.Series) -> tuple[np.ndarray, tuple]:
    codes, unique = pd.factorize(values.to_numpy(dtype=object), sort=False)
    order = sorted(range(len(unique)), key=lambda place: unique[place])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], tuple(unique[place] for place in order)


def _ids(names: Sequence, known: Sequence) -> np.ndarray:
    place = {name: index for index, name in enumerate(known)}
    return np.array([place.get(name, -1) for name in names], dtype=np.int64)


def _control_groups(rows: np.ndarray, state: np.ndarray, is_control: np.ndarray, n_states: int) -> ControlGroups:
    order = np.argsort(state[is_control], kind="stable")
    counts = np.bincount(state[is_control], minlength=n_states)
    return ControlGroups(rows[is_control][order], np.cumsum(counts) - counts, counts)
