"""Data scaling by perturbations: more and more conditions to train on, the same cells to validate and test on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.transfer import TransferParams, split_transfer_of


@dataclass(frozen=True, kw_only=True)
class ScalingPerturbationsParams(TransferParams):
    """Parameters of the task ``scaling-perturbations``; those of ``transfer`` are for the smallest size.

    Attributes:
        sampling_seed: seeds the draw of conditions.
        shares: the share of conditions that each size keeps of the next larger one, from the largest down.
        level: which size: 0 is the whole table, 1 the first share of it, and so on.
    """

    seed: int = 57
    max_heldout_covariates: int = 7
    sampling_seed: int = 84
    shares: tuple[float, ...] = (0.5, 0.5)
    level: int = 0

    def __post_init__(self) -> None:
        """Check every value, and turn the list of shares, as configuration files have it, into a tuple.

        Raises:
            InputError: a number is out of bounds, or there is no such level.
        """
        super().__post_init__()
        object.__setattr__(self, "shares", tuple(_share(value) for value in self.shares))
        if self.level > len(self.shares):
            raise InputError(
                f"level is {self.level}, but {len(self.shares)} shares make levels 0 to {len(self.shares)}",
                where="split parameters",
                fix="Give a smaller level or more shares.",
            )


def split_scaling_perturbations(obs: pd.DataFrame, keys: ObsKeys, params: ScalingPerturbationsParams) -> pd.Series:
    """Make a ``transfer`` split of the smallest size; larger sizes add conditions to its train cells alone.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test", or "" for conditions beyond this size and for pairs that the transfer
        split of the smallest size discards.

    Raises:
        InputError: the smallest size has too few conditions to draw a val and a test set.
    """
    conditions = obs[keys.perturbation].astype(str)
    sizes = draw_sizes(list(dict.fromkeys(conditions[conditions != keys.control])), params)
    smallest = conditions.isin({*sizes[-1], keys.control})
    split = split_transfer_of(obs, smallest.to_numpy(), keys, params)
    return split.mask(~smallest & conditions.isin(sizes[params.level]), "train")


def draw_sizes(conditions: list[str], params: ScalingPerturbationsParams) -> list[list[str]]:
    """The conditions of each size, the control not among them: the whole, and shares of it, each of the one before."""
    draw = random.Random(params.sampling_seed)
    sizes = [conditions]
    for share in params.shares:
        sizes.append(draw.sample(sizes[-1], int(share * len(sizes[-1]))))
    return sizes


def _share(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    raise InputError(f"shares has {value!r}", where="split parameters", fix="Give numbers above 0 and up to 1.")
