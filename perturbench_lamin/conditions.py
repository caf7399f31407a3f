"""The words every room shares: which obs columns hold conditions and covariates, and what a condition is made of.

A *condition* is what was done to a cell: ``control``, one perturbation, or several joined by a delimiter.
A *token* is one perturbation of a condition. A condition *is* its set of tokens: ``A+B`` and ``B+A`` are one, and so
are ``A``, ``A+control`` and ``control+A``. :func:`check_obs` gives each one spelling, so that inside names can be
compared. A *covariate state* is the tuple of a cell's covariate values,
always kept as a tuple: joining the values into one string would confuse ``("a_b", "c")`` with ``("a", "b_c")``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, nearest, some

BRACKETS = {")": "(", "]": "[", "}": "{"}

NO_VALUE = frozenset({"nan", "na", "<na>", "n/a", "#n/a", "null", "nat"})
"""Texts that a missing value becomes on its way through a program or a spreadsheet; no perturbation has such a name."""

NO_PERTURBATION = NO_VALUE | {"none"}
"""Likewise of conditions; as a value of a covariate (a treatment ``none``) the further one says something."""

USUAL_CONTROLS = frozenset(
    {
        "control",
        "controls",
        "ctrl",
        "ntc",
        "nt",
        "nontargeting",
        "nontargetingcontrol",
        "negctrl",
        "negativecontrol",
        "safeharbor",
        "scramble",
        "scrambled",
        "vehicle",
        "dmso",
        "untreated",
        "unperturbed",
        "mock",
    }
)
"""What datasets call their controls, in small letters and without anything between them."""

UNSEEN = ("Cc", "Cf", "Zl", "Zp")
"""Unicode's categories of characters that nobody sees: control and format characters, separators of lines."""

Column = tuple[np.ndarray, Any]
"""Each cell's code, −1 for a missing value, and the values."""


@dataclass(frozen=True)
class ObsKeys:
    """Which obs columns and values describe a cell.

    Attributes:
        perturbation: the column of conditions.
        covariates: the columns whose values make up a covariate state; may be empty.
        control: the value of ``perturbation`` that marks control cells.
        delimiter: what joins the tokens of a combination; None where no condition is a combination.
    """

    perturbation: str = "condition"
    covariates: tuple[str, ...] = ("cell_type",)
    control: str = "control"
    delimiter: str | None = "+"

    def __post_init__(self) -> None:
        """Check what else would fail far from here.

        Raises:
            InputError: a name or value is no text, or ``covariates`` is one text.
        """
        given: object = self.covariates
        if isinstance(given, str):
            raise InputError(f"covariates is the text {given!r}", where="ObsKeys", fix=f"Give ({given!r},).")
        object.__setattr__(self, "covariates", tuple(self.covariates))
        texts = {"perturbation": self.perturbation, "control": self.control, "delimiter": self.delimiter or ""}
        for name, value in (*texts.items(), *(("covariates", column) for column in self.covariates)):
            if not isinstance(value, str):
                raise InputError(f"{name} is {value!r}, no text", where="ObsKeys", fix=f"Give {str(value)!r}.")

    def tokens(self, condition: str) -> tuple[str, ...]:
        """The tokens of a condition, in order, each once; empty for the control.

        A token equal to the control value is left out (``"KLF1+control"`` has one token).

        Raises:
            InputError: a token is empty or has spaces at its ends, or the delimiter stands inside brackets: it
                belongs to a name such as ``(+)-JQ1`` or a SMILES string, and splitting there would invent
                perturbations.
        """
        if condition == self.control:
            return ()
        parts = _parts(condition, self.delimiter)
        if len(parts) > 1 and not self._splits(condition):
            raise InputError(
                f"The condition {condition!r} contains the delimiter {self.delimiter!r} as part of a name",
                where=f"column {self.perturbation}",
                fix="Name another delimiter, or none where no condition is a combination; or rename the condition.",
            )
        if not all(map(is_bare, parts)):
            raise InputError(
                f"The condition {condition!r} has spaces at the ends of a name, or invisible characters",
                where=f"column {self.perturbation}",
                fix=f"Write {(self.delimiter or '').join(map(bare, parts))!r}.",
            )
        return tuple(part for part in dict.fromkeys(parts) if part != self.control)

    def known_by(self, condition: str) -> tuple[str, ...]:
        """What tells conditions apart, where nothing is done with the tokens: these, or a name that cannot be split.

        Raises:
            InputError: a token has spaces at its ends, or invisible characters.
        """
        whole = len(_parts(condition, self.delimiter)) > 1 and not self._splits(condition)
        return (condition,) if whole and condition != self.control else self.tokens(condition)

    def sort_key(self, condition: str) -> str:
        """What conditions are sorted by: the tokens, so that ``A+control`` has the place of ``A``."""
        return (self.delimiter or "").join(self.known_by(condition)) or condition

    def _splits(self, condition: str) -> bool:
        return all(part.strip() and _balanced(part) for part in _parts(condition, self.delimiter))

    def is_combination(self, condition: str) -> bool:
        """Whether a condition has more than one token."""
        return len(self.tokens(condition)) > 1


def token_table(conditions: Iterable[str], keys: ObsKeys) -> pd.DataFrame:
    """The table ``condition, position, token``, sorted by condition: what a delimiter cannot say safely."""
    rows = [
        (condition, position, token)
        for condition in sorted(set(conditions))
        for position, token in enumerate(keys.tokens(condition))
    ]
    return pd.DataFrame(rows, columns=["condition", "position", "token"]).astype({"position": "int64"})


def covariate_states(obs: pd.DataFrame, covariates: Sequence[str]) -> pd.Series:
    """Each cell's covariate state, a tuple of strings (the empty tuple where there are no covariates)."""
    columns = [obs[name].astype(str) for name in covariates]
    states = list(zip(*columns, strict=True)) if columns else [()] * len(obs)
    return pd.Series(states, index=obs.index, dtype=object)


@dataclass(frozen=True)
class Remark:
    """What a reader must know of the names in a table, and what nothing in the result would show.

    Attributes:
        kind: ``spelling``; ``no perturbation`` or ``no value``, of names that look like a missing value.
        count: of conditions or of cells.
        message: a sentence or two.
        examples: the first few names.
    """

    kind: str
    count: int
    message: str
    examples: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class CheckedObs:
    """A table of cells that the inside can trust.

    Attributes:
        obs: the table; each condition has one spelling, so that two names are two conditions.
        remarks: spellings that were taken for one condition, and names that look like a missing value.
    """

    obs: pd.DataFrame
    remarks: tuple[Remark, ...]


def check_obs(
    obs: pd.DataFrame,
    keys: ObsKeys,
    *,
    where: object = "obs",
    controls: bool = True,
    like: Iterable[str] = (),
    tokens: Callable[[str], tuple[str, ...]] | None = None,
) -> CheckedObs:
    """Check a table of cells as :func:`require_obs` does, and give each condition one spelling.

    Of several spellings in the table the one of fewest parts is kept, the first in sorted order of these; a condition
    without tokens is the control. A table without such conditions is returned as it is.

    Args:
        obs: the table.
        keys: its columns.
        where: the file, for messages.
        controls: whether there must be control cells.
        like: conditions, such as the truth's, whose spelling is taken over.
        tokens: a condition's tokens where a table says them; by default :meth:`ObsKeys.known_by`.

    Raises:
        InputError: see :func:`require_obs`.
    """
    columns = _require(obs, keys, where, controls)
    codes, values = columns[keys.perturbation]
    names = [str(value) for value in values]
    spelled = _spellings(names, keys, set(like), tokens or keys.known_by)
    remarks = (*_spelling_remarks(spelled, set(like)), *_gap_remarks(columns, keys, where))
    if all(name == spelling for name, spelling in spelled.items()):
        return CheckedObs(obs, remarks)
    column: Any = np.array([spelled[name] for name in names], dtype=object)[codes]
    if isinstance(obs[keys.perturbation].dtype, pd.CategoricalDtype):
        column = pd.Categorical(column, categories=sorted(set(spelled.values())))
    return CheckedObs(obs.assign(**{keys.perturbation: column}), remarks)


def require_obs(obs: pd.DataFrame, keys: ObsKeys, *, where: object = "obs", controls: bool = True) -> None:
    """Check a table of cells at the boundary, so that the inside can trust it.

    Raises:
        InputError: a column is unknown or has missing or blank values, a name has spaces at its ends or invisible
            characters, a cell name occurs twice, or (with ``controls``) no cell has the control value.
    """
    _require(obs, keys, where, controls)


def _require(obs: pd.DataFrame, keys: ObsKeys, where: object, controls: bool) -> dict[str, Column]:
    """As :func:`require_obs`; returns the columns, each looked through once: a million texts take a while."""
    if not is_bare(keys.control):
        raise InputError(
            f"The control value {keys.control!r} has spaces at its ends, or invisible characters",
            where="control",
            fix=f"Give {bare(keys.control)!r}, and take them away in the table, too.",
        )
    if not isinstance(obs, pd.DataFrame):
        raise InputError(f"Not a table of cells but {type(obs).__name__}", where=where, fix="Give its obs.")
    columns: dict[str, Column] = {}
    for column in dict.fromkeys((keys.perturbation, *keys.covariates)):
        if column not in obs.columns:
            raise InputError(f"No column {column!r}", where=where, fix=nearest(column, obs.columns))
        try:
            columns[column] = pd.factorize(obs[column])
        except TypeError as error:  # lists
            raise InputError(
                f"Column {column!r} has values that are neither text nor numbers", where=where, fix="Give a text each."
            ) from error
        delimiter = keys.delimiter if column == keys.perturbation else None
        _require_values(column, columns[column], obs.index, delimiter, where)
    if not obs.index.is_unique:
        twice = obs.index[obs.index.duplicated()].unique()
        raise InputError(
            f"{len(twice):,} cell names occur more than once", where=where, fix=f"Make them unique: {some(twice, 3)}."
        )
    conditions = [str(value) for value in columns[keys.perturbation][1]]
    if controls and all(keys.known_by(condition) for condition in conditions):
        raise InputError(
            f"No cell has the control value {keys.control!r} in column {keys.perturbation!r}",
            where=where,
            fix=nearest(keys.control, _like_controls(conditions) or conditions),
        )
    return columns


def _like_controls(conditions: Sequence[str]) -> list[str]:
    """Those that have a usual name of controls: the condition that is spelt most like a control's name is a gene."""
    return [one for one in conditions if re.sub("[^a-z]", "", one.lower()) in USUAL_CONTROLS]


def bare(text: str) -> str:
    """The text without spaces at its ends, and without characters that nobody sees, such as a zero-width space."""
    return "".join(character for character in text if unicodedata.category(character) not in UNSEEN).strip()


def is_bare(text: str) -> bool:
    """Whether :func:`bare` would change nothing."""
    return text == (text.strip() if text.isprintable() else bare(text))


def _require_values(column: str, found: Column, cells: pd.Index, delimiter: str | None, where: object) -> None:
    """Check that each cell has a value, and that what is seen of it is all there is."""
    codes, values = found
    texts = [value if isinstance(value, str) else None for value in values]
    blank = np.array([text is not None and not bare(text) for text in texts] + [True], dtype=bool)
    if blank[:-1].any() or codes.min(initial=0) < 0:
        bad = blank[codes]  # the last one is for -1, a missing value
        raise InputError(
            f"Column {column!r} has no value in {int(bad.sum()):,} cells",
            where=where,
            fix=f"First such cell: {cells[bad][0]}. Fill or remove them.",
        )
    padded = [text is not None and not all(map(is_bare, _parts(text, delimiter))) for text in texts]
    if any(padded):
        shown = some((repr(text) for text, one in zip(texts, padded, strict=True) if one), 3)
        strip = f"{delimiter!r}.join(map(str.strip, name.split({delimiter!r})))" if delimiter else "name.strip()"
        raise InputError(
            f"Column {column!r} has names with spaces at their ends, or invisible characters, in "
            f"{int(np.array(padded)[codes].sum()):,} cells: {shown}",
            where=where,
            fix="They would be other names than those without. Take them away, such as in Python: "
            f"obs[{column!r}] = [{strip} for name in obs[{column!r}]]",
        )


def _parts(text: str, delimiter: str | None) -> list[str]:
    return text.split(delimiter) if delimiter else [text]


def _spellings(
    names: Iterable[str], keys: ObsKeys, like: set[str], tokens: Callable[[str], tuple[str, ...]]
) -> dict[str, str]:
    """Name → the one spelling of its condition."""
    known = {frozenset(tokens(name)): name for name in sorted(like, reverse=True)}
    found: dict[frozenset[str], list[str]] = {}
    for name in sorted(names, key=lambda name: (len(_parts(name, keys.delimiter)), name)):
        found.setdefault(frozenset(tokens(name)), []).append(name)
    kept = {is_: keys.control if not is_ else known.get(is_, listed[0]) for is_, listed in found.items()}
    return {name: kept[is_] for is_, listed in found.items() for name in listed}


def _spelling_remarks(spelled: dict[str, str], like: set[str]) -> Iterable[Remark]:
    changed = sorted((kept, name) for name, kept in spelled.items() if name != kept)
    for elsewhere, what in (
        (False, "Conditions that are spelled in several ways are taken for one each"),
        (True, "Conditions that are spelled otherwise than in the truth are matched by their perturbations"),
    ):
        here = [(kept, name) for kept, name in changed if (kept in like) is elsewhere]
        if here:
            count = len({kept for kept, _ in here})
            listed = some(f"{name!r} is {kept!r}" for kept, name in here)
            yield Remark("spelling", count, f"{what}: {listed}.", listed)


def _gap_remarks(columns: dict[str, Column], keys: ObsKeys, where: object) -> Iterable[Remark]:
    """Names that a missing value may have become."""
    for column, (codes, values) in columns.items():
        own = column == keys.perturbation
        gaps = [
            any(part.lower() in (NO_PERTURBATION if own else NO_VALUE) for part in _named(str(value), keys, own))
            for value in values
        ]
        if any(gaps):
            cells = int(np.array(gaps, dtype=bool)[codes].sum())
            shown = some(repr(str(value)) for value, gap in zip(values, gaps, strict=True) if gap)
            what = "a perturbation" if own else "a value"
            yield Remark(
                "no perturbation" if own else "no value",
                cells,
                f"{cells:,} cells have {shown} in column {column!r}, taken for {what} of that name [{where}]. If it "
                "marks cells without one, remove them first.",
                shown,
            )


def _named(value: str, keys: ObsKeys, is_condition: bool) -> Sequence[str]:
    return keys.known_by(value) if is_condition else (value,)


def require_controls_per_state(obs: pd.DataFrame, keys: ObsKeys, *, where: object = "obs") -> None:
    """Check that every covariate state with perturbed cells has control cells too.

    Raises:
        InputError: some states have none; the message names them.
    """
    states = covariate_states(obs, keys.covariates)
    is_control = (obs[keys.perturbation].astype(str) == keys.control).to_numpy()
    bare = sorted(set(states[~is_control]) - set(states[is_control]))
    if bare:
        raise InputError(
            f"No control cells in {len(bare):,} covariate states",
            where=f"{where}, columns {', '.join(keys.covariates)}",
            fix=f"Add controls or remove these states: {some('/'.join(state) for state in bare)}.",
        )


def _balanced(text: str) -> bool:
    depth: list[str] = []
    for character in text:
        if character in BRACKETS.values():
            depth.append(character)
        elif character in BRACKETS and (not depth or depth.pop() != BRACKETS[character]):
            return False
    return not depth
