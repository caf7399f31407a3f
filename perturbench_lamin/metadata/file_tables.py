"""The tables of a curated file that metadata are about: distinct states of cells, structures of compounds, gene ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.curation.genes import strip_version
from perturbench_lamin.curation.schema import open_curated
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.metadata.names import is_inchikey

DOSE, DOSE_UNIT = "dose", "dose_unit"
STRUCTURES = ("smiles", "inchikey")


@dataclass(frozen=True)
class FileTables:
    """What a curated file says of its cells and genes.

    Attributes:
        path: the file.
        info: what it says of itself.
        states: each distinct combination of the columns asked for, of ``dose`` and ``dose_unit`` where the file
            has them, and of the condition; with the number of ``cells``.
        structures: condition to its ``smiles`` and ``inchikey``, where the file has them.
        ensembl_ids: symbol to Ensembl id of its genes, without version; empty where it has no ids.
        symbols: of its genes.
    """

    path: Path
    info: CuratedInfo
    states: pd.DataFrame
    structures: Mapping[str, Mapping[str, str]]
    ensembl_ids: Mapping[str, str]
    symbols: tuple[str, ...]


def read_tables(path: str | Path, columns: Iterable[str]) -> FileTables:
    """Read a curated file's tables, not its matrices.

    Raises:
        InputError: the file does not keep the contract, a value is missing, or a structure is contradictory.
    """
    adata, info = open_curated(path, backed=True)
    try:
        obs, var = adata.obs, adata.var
    finally:
        adata.file.close()
    used = [name for name in columns if name in obs]
    for name in used:
        if obs[name].isna().any():
            raise InputError(
                f"Column {name!r} has no value in {int(obs[name].isna().sum()):,} cells",
                where=path,
                fix="Fill it in, or remove these cells.",
            )
    doses = [name for name in (DOSE, DOSE_UNIT) if name in obs]
    columns = list(dict.fromkeys([*used, *doses, info.keys.perturbation]))
    states = obs.groupby(columns, observed=True, dropna=False, sort=True).size().rename("cells").reset_index()
    states[[*used, info.keys.perturbation]] = states[[*used, info.keys.perturbation]].astype(str)
    _tidy_doses(states, path)
    ids = strip_version(var["ensembl_id"].astype(object).fillna("").astype(str)) if "ensembl_id" in var else None
    named = {} if ids is None else {symbol: one for symbol, one in zip(var.index, ids, strict=True) if one}
    return FileTables(Path(path), info, states, _structures(obs, info, path), named, tuple(map(str, var.index)))


def _tidy_doses(states: pd.DataFrame, path: str | Path) -> None:
    """Doses as numbers, missing where there is none; units as text."""
    if DOSE_UNIT in states:
        states[DOSE_UNIT] = states[DOSE_UNIT].astype(object).fillna("").astype(str)
    if DOSE in states:
        text = states[DOSE].astype(object)
        numbers = pd.to_numeric(text, errors="coerce")
        wrong = sorted(set(text[text.notna() & numbers.isna()].astype(str)) - {""})
        if wrong:
            raise InputError(
                "Column 'dose' holds what is no number", where=path, fix=f"Make it a number or empty: {some(wrong, 5)}."
            )
        states[DOSE] = numbers.astype(float)


def _structures(obs: pd.DataFrame, info: CuratedInfo, path: str | Path) -> dict[str, dict[str, str]]:
    columns = {name: str(name).casefold() for name in obs.columns if str(name).casefold() in STRUCTURES}
    found: dict[str, dict[str, str]] = {}
    for column, kind in columns.items():
        pairs = obs[[info.keys.perturbation, column]].drop_duplicates().dropna().astype(str)
        pairs = pairs[(pairs[column] != "") & (pairs[info.keys.perturbation] != info.keys.control)]
        twice = pairs[info.keys.perturbation][pairs[info.keys.perturbation].duplicated()]
        if len(twice):
            raise InputError(
                f"{len(set(twice)):,} compounds have several values of {column!r}",
                where=path,
                fix=f"Give each one: {some(sorted(set(twice)), 5)}.",
            )
        for condition, value in pairs.itertuples(index=False):
            if kind == "inchikey" and not is_inchikey(value):
                raise InputError(
                    f"{value!r} of {condition!r} is not an InChIKey", where=path, fix="It has 14-10-1 capital letters."
                )
            found.setdefault(condition, {})[kind] = value
    return found
