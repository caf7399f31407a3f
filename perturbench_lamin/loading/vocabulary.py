"""Which genes, perturbation tokens, covariate values, states and conditions a model knows: those of its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import covariate_states
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.errors import InputError, nearest, some

State = tuple[str, ...]

UNSEEN_PERTURBATIONS = (
    "This model cannot predict them. control_mean and perturbation_mean can, and linear_embedding where an embedding "
    "of genes or of perturbations has them (`perturbench-lamin pretrain` makes one); or exclude them from the split."
)


@dataclass(frozen=True)
class Vocabulary:
    """What training cells contain, in sorted order.

    The public PerturBench code orders tokens and covariate values by their first appearance in the training
    cells; sorting makes the order, and with it a model's weights, the same whatever the order of the cells.

    Attributes:
        genes: gene names, in the order of the curated file.
        perturbations: tokens, sorted; see :meth:`with_tokens` for those that training lacks.
        covariates: for each covariate key its values, sorted.
        states: the covariate states, sorted; the id of a state is its place here.
        conditions: condition → tokens, sorted by condition (the control has none); ids likewise.
        control: the control condition.
        embeddings: embedding → its width, where the data were read with one.
    """

    genes: tuple[str, ...]
    perturbations: tuple[str, ...]
    covariates: Mapping[str, tuple[str, ...]]
    states: tuple[State, ...]
    conditions: Mapping[str, tuple[str, ...]]
    control: str
    embeddings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_cells(cls, obs: pd.DataFrame, genes: Sequence[str], info: CuratedInfo) -> Vocabulary:
        """The vocabulary of these cells (give it the training cells only)."""
        present = sorted(set(obs[info.keys.perturbation].astype(str)))
        conditions = condition_tokens(present, info)
        states = sorted(set(covariate_states(obs, info.keys.covariates)))
        return cls(
            genes=tuple(genes),
            perturbations=tuple(sorted({token for tokens in conditions.values() for token in tokens})),
            covariates={
                key: tuple(sorted({state[place] for state in states})) for place, key in enumerate(info.keys.covariates)
            },
            states=tuple(states),
            conditions=conditions,
            control=info.keys.control,
        )

    def with_tokens(self, tokens: Iterable[str]) -> Vocabulary:
        """The vocabulary with further perturbations: those that a model knows from elsewhere."""
        return replace(self, perturbations=tuple(sorted({*self.perturbations, *tokens})))

    @property
    def n_covariates(self) -> int:
        """The width of the concatenated one-hot codes of all covariates."""
        return sum(len(values) for values in self.covariates.values())

    def encode_perturbations(self, token_sets: Iterable[Sequence[str]]) -> np.ndarray:
        """Multi-hot rows (token sets × tokens, float32): one for each token of the set, zeros for the control.

        Raises:
            InputError: a token is not in the vocabulary.
        """
        place = {token: index for index, token in enumerate(self.perturbations)}
        sets = [tuple(tokens) for tokens in token_sets]
        unseen = sorted({token for tokens in sets for token in tokens if token not in place})
        if unseen:
            raise InputError(
                f"Unseen perturbations: {some(unseen)}", where="vocabulary", fix=nearest(unseen[0], self.perturbations)
            )
        rows = np.zeros((len(sets), len(place)), dtype=np.float32)
        for row, tokens in zip(rows, sets, strict=True):
            row[[place[token] for token in tokens]] = 1
        return rows

    def condition_ids(self, tokens: Mapping[str, Sequence[str]]) -> np.ndarray:
        """The ids of conditions, known by their tokens whatever their names; −1 where training lacks one (int64).

        Args:
            tokens: condition → its tokens.
        """
        place = {frozenset(names): number for number, names in enumerate(self.conditions.values())}
        return np.array([place.get(frozenset(names), -1) for names in tokens.values()], dtype=np.int64)

    def encode_states(self, states: Sequence[State]) -> np.ndarray:
        """One-hot rows, all covariates side by side (states × n_covariates, float32).

        Raises:
            InputError: a covariate value is not in the vocabulary.
        """
        places, start = [], 0
        for values in self.covariates.values():
            places.append({value: start + index for index, value in enumerate(values)})
            start += len(values)
        rows = np.zeros((len(states), start), dtype=np.float32)
        for row, state in zip(rows, states, strict=True):
            for key, place, value in zip(self.covariates, places, state, strict=True):
                if value not in place:
                    raise InputError(f"Unseen {key} {value!r}", where="vocabulary", fix=nearest(value, place))
                row[place[value]] = 1
        return rows

    def require_known(self, obs: pd.DataFrame, info: CuratedInfo, *, where: object) -> None:
        """Check that these cells' tokens and covariate values were all seen in training.

        Raises:
            InputError: some were not; the message names them and counts their cells.
        """
        labels = obs[info.keys.perturbation].astype(str)
        known, table = set(self.perturbations), condition_tokens(sorted(set(labels)), info)
        strange = {condition: set(tokens) - known for condition, tokens in table.items()}
        tokens = sorted(set().union(*strange.values())) if strange else []
        if tokens:
            count = int(labels.map(lambda label: bool(strange[label])).sum())
            raise _unseen("perturbations", tokens, count, where, UNSEEN_PERTURBATIONS)
        for key, values in self.covariates.items():
            column = obs[key].astype(str)
            other = sorted(set(column) - set(values))
            if other:
                count = int(column.isin(other).sum())
                raise _unseen(f"values of {key}", other, count, where, "No model can predict them: use another split.")

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries, for JSON and checkpoints."""
        return {
            "genes": list(self.genes),
            "perturbations": list(self.perturbations),
            "covariates": {key: list(values) for key, values in self.covariates.items()},
            "states": [list(state) for state in self.states],
            "conditions": {condition: list(tokens) for condition, tokens in self.conditions.items()},
            "control": self.control,
            "embeddings": dict(self.embeddings),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Vocabulary:
        """Read :meth:`to_dict` back."""
        return cls(
            genes=tuple(plain["genes"]),
            perturbations=tuple(plain["perturbations"]),
            covariates={key: tuple(values) for key, values in plain["covariates"].items()},
            states=tuple(tuple(state) for state in plain["states"]),
            conditions={condition: tuple(tokens) for condition, tokens in plain["conditions"].items()},
            control=plain["control"],
            embeddings=dict(plain.get("embeddings", {})),
        )


def condition_tokens(conditions: Iterable[str], info: CuratedInfo) -> dict[str, tuple[str, ...]]:
    """Each condition's tokens by the file's own table; the control has none.

    Raises:
        InputError: the table lacks a condition.
    """
    table = _token_lists(info)
    wanted = list(conditions)
    lacking = [condition for condition in wanted if condition != info.keys.control and condition not in table]
    if lacking:
        raise InputError(
            f"The table of conditions lacks {some(lacking)}",
            where='uns["perturbench"]["conditions"]',
            fix="Curate the file again: the table and obs must agree.",
        )
    return {condition: tuple(table.get(condition, ())) for condition in wanted}


def tokens_by_table(info: CuratedInfo) -> Callable[[str], tuple[str, ...]]:
    """What a condition's tokens are by the file's own table; by its delimiter where the table lacks it."""
    table = _token_lists(info)
    return lambda condition: tuple(table.get(condition, ())) or info.keys.known_by(condition)


def _token_lists(info: CuratedInfo) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    if len(info.conditions):
        rows = info.conditions.sort_values(["condition", "position"])[["condition", "token"]]
        for condition, token in rows.to_numpy():
            table.setdefault(str(condition), []).append(str(token))
    return table


def _unseen(what: str, names: Sequence[str], cells: int, where: object, fix: str) -> InputError:
    return InputError(f"{cells:,} cells have {what} that training lacks: {some(names)}", where=where, fix=fix)
