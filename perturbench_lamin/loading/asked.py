"""Counterfactuals that a user asks for: any condition of known perturbations in any state that has controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perturbench_lamin.conditions import ObsKeys, bare, covariate_states, is_bare
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.counterfactuals import Counterfactuals, Group
from perturbench_lamin.loading.curated import CuratedData
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import State, Vocabulary, condition_tokens
from perturbench_lamin.storage.csv_file import read_csv, require_columns

Pair = tuple[State, str]
CONTROLS = "control"
"""What error messages call the part of the cells that is read."""


@dataclass(frozen=True)
class AskedPairs(Counterfactuals):
    """Counterfactuals of given (state, condition) pairs; ``data`` holds control cells and the conditions' codes.

    Attributes:
        pairs: sorted by state, then condition.
    """

    pairs: Sequence[Pair] = ()

    def groups(self) -> list[Group]:
        """One group a pair, in order."""
        conditions = {condition: place for place, condition in enumerate(self.data.conditions)}
        states = {state: place for place, state in enumerate(self.data.states)}
        chosen = {state: self._chosen(states[state]) for state, _ in self.pairs}
        return [
            Group(condition, state, chosen[state], conditions[condition], states[state])
            for state, condition in self.pairs
        ]


def read_pairs(path: str | Path, keys: ObsKeys) -> list[Pair]:
    """Read a table of conditions and covariates, one row a pair, under the curated file's column names.

    Returns:
        The pairs, sorted.

    Raises:
        InputError: the file cannot be read, a column is missing, a field is empty or has spaces at its ends, or a row
            occurs twice.
    """
    file, columns = read_csv(path), (keys.perturbation, *keys.covariates)
    require_columns(file, columns)
    table = file.table
    if table.empty:
        raise InputError("No rows", where=path, fix="Give a condition and its covariates in each line.")
    for column in columns:
        empty = table[column] == ""
        if empty.any():
            raise InputError(f"No {column}", where=file.first(empty), fix="Fill or remove the line.")
        for name in table[column].unique():
            if not is_bare(name):
                raise InputError(
                    f"The {column} {name!r} has spaces at its ends, or invisible characters",
                    where=file.first(table[column] == name),
                    fix=f"Write {bare(name)!r}.",
                )
    twice = table.duplicated(list(columns))
    if twice.any():
        pair = "/".join(table.loc[twice, list(columns)].iloc[0])
        raise InputError(f"{pair!r} occurs twice", where=file.first(twice), fix="Remove one of them.")
    states = covariate_states(table, keys.covariates)
    return sorted(zip(states, table[keys.perturbation], strict=True))


def asked_pairs(
    data: CuratedData,
    labels: np.ndarray | None,
    pairs: Sequence[Pair],
    vocabulary: Vocabulary,
    settings: Mapping[str, int],
) -> AskedPairs:
    """Pairs to be predicted, each from the true control cells of its state.

    Args:
        data: the curated file; its expression is not looked at.
        labels: whether each cell may serve as a control (cells); None where all may.
        pairs: what is asked for.
        vocabulary: what the model knows.
        settings: ``max_control_cells``, ``seed`` and ``batch_size`` of :class:`Counterfactuals`.

    Raises:
        InputError: the model does not know a perturbation or a covariate value, or a state has no controls; the
            message names the nearest that it knows.
    """
    keys = data.info.keys
    tokens = tokens_of([condition for _, condition in pairs], data.info, vocabulary)
    _require_values([state for state, _ in pairs], keys, vocabulary)
    controls = _controls(data, labels, {state for state, _ in pairs})
    cells = SplitData.build(data, np.where(controls, CONTROLS, ""), CONTROLS, vocabulary)
    _require_distinct(pairs, tokens)
    conditions = (keys.control, *(condition for condition in tokens if condition != keys.control))
    cells = replace(
        cells,
        conditions=conditions,
        perturbations=vocabulary.encode_perturbations([tokens.get(condition, ()) for condition in conditions]),
        condition_ids=vocabulary.condition_ids({condition: tokens.get(condition, ()) for condition in conditions}),
    )
    return AskedPairs(cells, include_control=True, pairs=tuple(pairs), **settings)


def tokens_of(conditions: Sequence[str], info: CuratedInfo, vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Each condition's tokens: by the curated file's table, or split at its delimiter where it is a new one.

    Raises:
        InputError: the model does not know a token; the nearest are named.
    """
    listed = set(info.conditions["condition"].astype(str)) | {info.keys.control}
    found: dict[str, tuple[str, ...]] = {}
    for condition in sorted(set(conditions)):
        known = condition in listed
        found[condition] = condition_tokens([condition], info)[condition] if known else info.keys.tokens(condition)
        for token in found[condition]:
            if token not in vocabulary.perturbations:
                raise InputError(
                    f"The model does not know the perturbation {token!r}",
                    where=f"condition {condition}",
                    fix=nearest(token, vocabulary.perturbations),
                )
    return found


def _require_distinct(pairs: Sequence[Pair], tokens: Mapping[str, Sequence[str]]) -> None:
    """A condition may be asked for under any name, but once in a state."""
    asked: dict[tuple[State, frozenset[str]], str] = {}
    for state, condition in pairs:
        first = asked.setdefault((state, frozenset(tokens[condition])), condition)
        if first != condition:
            raise InputError(
                f"{first!r} and {condition!r} in {'/'.join(state)} are one condition",
                where="the conditions asked for",
                fix="Remove one of them.",
            )


def _require_values(states: Sequence[State], keys: ObsKeys, vocabulary: Vocabulary) -> None:
    for state in sorted(set(states)):
        for key, value in zip(keys.covariates, state, strict=True):
            if value not in vocabulary.covariates[key]:
                raise InputError(
                    f"The model does not know the {key} {value!r}",
                    where="/".join(state),
                    fix=nearest(value, vocabulary.covariates[key]),
                )


def _controls(data: CuratedData, labels: np.ndarray | None, asked: set[State]) -> np.ndarray:
    """Whether each cell is a control of a state that is asked for."""
    keys = data.info.keys
    states = covariate_states(data.obs, keys.covariates)
    control = (data.obs[keys.perturbation].astype(str) == keys.control).to_numpy()
    control = control if labels is None else control & labels
    present = set(states[control])
    for state in sorted(asked - present):
        raise InputError(
            "There are no control cells of that covariate state",
            where="/".join(state),
            fix=nearest("/".join(state), sorted("/".join(known) for known in present)),
        )
    return control & states.isin(asked).to_numpy()
