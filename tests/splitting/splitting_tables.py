"""Small tables of cells for the tests of this folder, built without random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import pandas as pd

Pair = tuple[str, tuple[str, ...]]


def table(cells_of: Mapping[Pair, int], covariates: Iterable[str] = ("cell_type",)) -> pd.DataFrame:
    """As many cells of each pair as ``cells_of`` says, interleaved."""
    rows = [(turn, pair) for pair, count in cells_of.items() for turn in range(count)]
    rows.sort(key=lambda row: row[0])
    values = [(condition, *state) for _, (condition, state) in rows]
    names = [f"cell{number}" for number in range(len(rows))]
    return pd.DataFrame(values, index=names, columns=["condition", *covariates], dtype=object)


def screen(states: Iterable[tuple[str, ...]], covariates: Iterable[str] = ("cell_type",)) -> pd.DataFrame:
    """Twelve singles, ten pairs of them and a control; not every pair occurs in every state."""
    singles = [f"g{(7 * number) % 12:02d}" for number in range(12)]
    combinations = [f"{singles[a]}+{singles[(a * a + 3 * a + 1) % 12]}" for a in range(12)]
    combinations = [name for name in combinations if len(set(name.split("+"))) == 2]
    cells_of: dict[Pair, int] = {}
    for place, state in enumerate(states):
        for number, condition in enumerate(["control", *singles, *combinations]):
            if condition == "control":
                cells_of[condition, state] = 9 + place
            elif (number + place) % 7:
                cells_of[condition, state] = 1 + (number * 5 + place) % 3
    return table(cells_of, covariates)


def digest(split: pd.Series) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of ``cell,split`` lines."""
    text = "".join(f"{cell},{part}\n" for cell, part in split.items())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def grid(
    conditions: Iterable[str], states: Iterable[tuple[str, ...]], covariates: Iterable[str], controls: int = 100
) -> pd.DataFrame:
    """One cell of every condition in every state, state after state, and control cells."""
    pairs = {(condition, state): 1 for state in states for condition in conditions}
    return table(pairs | {("control", state): controls for _, state in pairs}, covariates)


def conditions_by_part(obs: pd.DataFrame, split: pd.Series, covariates: Iterable[str]) -> dict[tuple[str, ...], tuple]:
    """Each state's numbers of conditions (the control counted, as in the published tables) in train, val and test."""
    rows = obs.assign(split=split.to_numpy()).groupby([*covariates, "split"])["condition"].nunique()
    states = dict.fromkeys(key[:-1] for key in rows.index)
    return {state: tuple(int(rows.get((*state, part), 0)) for part in ("train", "val", "test")) for state in states}


ONE = [("k562",), ("a549",), ("mcf7",)]
TWO = [(line, drug) for line in ("k562", "a549") for drug in ("none", "ifng")]
HELDOUT = {1: ["mcf7", "a549"], 2: [["k562", "ifng"], ["a549", "none"]]}
OPTIONS = {
    "manual": lambda n: {"heldout_states": HELDOUT[n]},
    "scaling": lambda n: {"heldout_states": HELDOUT[n], "train_states": (ONE[:1], TWO[:1])[n - 1]},
    "scaling-perturbations": lambda n: {"level": 1, "shares": [0.9, 0.9], "max_heldout_covariates": n},
    "imbalance": lambda n: {"balance": 0.95, "min_conditions": 5, "max_heldout_fraction": 0.5},
    "predefined": lambda n: {"column": "condition", "names": PARTS},
}
PARTS = {name: "val" if name < "g03" else "test" if name < "g06" else "train" for name in set(screen(ONE)["condition"])}
PARTS.pop("control")


def params_of(task: str, n_covariates: int, seed: int) -> dict:
    """Parameters with which every task can be made of ``screen`` of one or two covariates."""
    return {"seed": seed} | OPTIONS.get(task, lambda n: {})(n_covariates)
