"""From held-out pairs to a split: val and test drawn evenly from each covariate state, and control cells dealt out."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.splitting.cells import Cells, Pair, State, state_name
from perturbench_lamin.splitting.controls import deal_together
from perturbench_lamin.splitting.params import SplitParams

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holdout:
    """What a task withholds from training.

    Attributes:
        pairs: the held-out pairs, in the order in which they were drawn (the val/test draw picks by position).
            A control among them takes part in that draw, but control cells are dealt out apart.
        dropped: conditions left out of the split altogether, by downsampling.
    """

    pairs: tuple[Pair, ...]
    dropped: frozenset[str] = frozenset()


def assign(cells: Cells, holdout: Holdout, params: SplitParams) -> pd.Series:
    """Make the split: held-out pairs to val or test, control cells to all three, everything else to train.

    A state with a single held-out pair cannot give one to val and one to test: that pair is discarded.

    Args:
        cells: the table of cells.
        holdout: what the task withholds.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test" or "" per cell name.

    Raises:
        InputError: too few pairs are held out to draw a val and a test set.
    """
    per_state = Counter(state for _, state in holdout.pairs)
    paired = [pair for pair in holdout.pairs if per_state[pair[1]] > 1]
    lone = [pair for pair in holdout.pairs if per_state[pair[1]] == 1]
    if not paired:
        raise _too_few("No covariate state holds out two conditions, one for val and one for test", per_state)
    _report_discarded(cells, lone)
    split_of = dict.fromkeys(lone, "") | _draw_val_and_test(paired, params, per_state)
    split_of |= {pair: "" for pair in cells.pairs if pair[0] in holdout.dropped}
    split = cells.spread(split_of)
    for part, controls in deal_together(cells, params.train_control_fraction, params.seed).items():
        split.iloc[controls] = part
    return split


def _draw_val_and_test(pairs: list[Pair], params: SplitParams, per_state: Counter[State]) -> dict[Pair, str]:
    from sklearn.model_selection import train_test_split  # slow to import, and only drawing needs it

    try:
        _, test = train_test_split(
            range(len(pairs)),
            test_size=params.test_fraction,
            stratify=[_stratum(state) for _, state in pairs],
            random_state=params.seed,
        )
    except ValueError as error:
        raise _too_few(f"{len(pairs)} held-out pairs cannot be drawn into val and test ({error})", per_state) from error
    chosen = set(test)
    return {pair: "test" if position in chosen else "val" for position, pair in enumerate(pairs)}


def _stratum(state: State) -> str:
    """A state's name in the stratified draw, which visits strata in the sorted order of their names.

    For one covariate this is the text of the frozen set of its value, which PerturBench's published splits
    sort by. For several, that text changes with the hash seed; ours lists the values in column order.
    """
    return f"frozenset({{{', '.join(map(repr, state))}}})"


def _report_discarded(cells: Cells, lone: list[Pair]) -> None:
    named = [f"{condition} in {state_name(state)}" for condition, state in lone if condition != cells.keys.control]
    if named:
        logger.warning("Discarded, as the only held-out pair of its covariate state: %s", some(named))


def _too_few(what: str, per_state: Counter[State]) -> InputError:
    counts = some(f"{state_name(state)} {per_state[state]}" for state in sorted(per_state))
    return InputError(
        what,
        where=f"held-out conditions by covariate state: {counts or 'none'}",
        fix="Raise max_heldout_fraction (or downsample_fraction), bring test_fraction nearer to 0.5, or name fewer "
        "covariates.",
    )
