"""Raw counts to a curated file: check, normalise, choose genes, write, in three passes over the source.

The recipe is PerturBench's (arXiv 2408.10609): genes in at least 10 cells; counts divided by the cell's total and
multiplied by the median total; natural log1p; the genes kept are highly variable (Seurat v3, by covariate state),
differentially expressed (Welch's t against the state's controls) or perturbed.

Memory does not grow with the number of values: the source is read by rows, three times, less what stays in memory
in between (see :class:`HeldCounts`).
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, check_obs, token_table
from perturbench_lamin.contracts import UNS_KEY, CuratedInfo
from perturbench_lamin.curation import kernels
from perturbench_lamin.curation.counts import library_sizes, sum_counts
from perturbench_lamin.curation.groups import CellGroups, cell_groups
from perturbench_lamin.curation.held import HeldCounts
from perturbench_lamin.curation.lanes import default_threads, read_ahead, run_lanes, split_rows
from perturbench_lamin.curation.passes import Chunk, count_chunks
from perturbench_lamin.curation.report import Limits, Note, PreprocessParams, PreprocessReport, note_of
from perturbench_lamin.curation.selection import Prepared, choose_genes
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.curation.tables import KeptGenes, cell_table, deg_table, gene_table, kept_genes, require_some
from perturbench_lamin.curation.writer import CuratedWriter, writable
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.files import atomic_path, require_apart
from perturbench_lamin.storage.reading import about

NAMES = {
    "spelling": "conditions spelled in several ways, each taken for one",
    "no perturbation": "cells under a name like a missing value, taken for a perturbation",
    "no value": "cells with a covariate like a missing value, taken for a value",
}
"""What the report says of each kind of remark on names."""

logger = logging.getLogger(__name__)

DEGS_KEY = "perturbench_degs"
"""The table ``covariates…, condition, de_rank, de_gene, de_score`` of differentially expressed genes in ``uns``."""


def preprocess(
    source: CountSource,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    keys: ObsKeys,
    params: PreprocessParams | None = None,
    *,
    out: str | Path,
    dataset: str = "",
    selection: np.ndarray | None = None,
    limits: Limits | None = None,
    progress: bool = False,
) -> PreprocessReport:
    """Make a curated file of raw counts.

    Args:
        source: the counts.
        obs: the table of cells, in the source's order. ``ncounts`` and ``ngenes`` are added: total counts and
            genes detected, over all genes of the source, before any is filtered out. A column of the same
            name is kept as ``deposited_ncounts`` or ``deposited_ngenes``, and numbered where there is one already.
        var: the table of genes, in the source's order, by symbol.
        keys: which columns hold conditions and covariates.
        params: what to keep.
        out: the file to write (atomically).
        dataset: the dataset's name, for ``uns["perturbench"]``.
        selection: a mask of the cells that the choice of variable and responding genes may look at, such as
            the training cells; None for all. The minimum of cells a gene and the normalisation use all cells.
        limits: threads, memory and compression; they do not change the result.
        progress: show progress bars.

    Returns:
        What was found and done; also in the file's ``uns["perturbench"]``.

    Raises:
        InputError: the values are not counts, names are not unique, controls are missing, or no gene is left.
    """
    params, limits = params or PreprocessParams(), limits or Limits()
    _require_names(source, obs, var)
    obs, var = writable(obs, "obs"), writable(var, "var")  # now, rather than after three passes
    obs, remarks = _one_spelling(obs, keys, getattr(source, "path", "obs"))
    groups = cell_groups(obs, keys, selection)
    tokens = token_table(obs[keys.perturbation].astype(str).unique(), keys)
    threads = limits.threads or default_threads()
    held = HeldCounts(source, limits.held_mib)
    sums = sum_counts(source, groups, held, min_cells=params.min_cells, threads=threads, progress=progress)
    expressed = sums.gene_cells >= params.min_cells
    require_some(expressed, f"No gene is expressed in {params.min_cells} cells")
    totals = library_sizes(source, held, sums, expressed, threads=threads, progress=progress)
    target = _target(totals, params.target_sum)
    ready = Prepared(_places(expressed), _scales(totals, target), threads)
    choice = choose_genes(source, held, groups, sums, ready, params, limits, progress=progress)
    genes = kept_genes(source.var_names, expressed, choice, tokens["token"])
    empty = note_of("normalised", "cells without counts, left as zeros", obs.index[totals == 0])
    notes = (*remarks, *empty, *choice.notes)
    report = _report(source, groups, expressed, genes, float(target), notes, obs[keys.perturbation])
    uns = _uns(
        CuratedInfo(dataset, keys, _parameters(params, report), tokens), deg_table(groups, keys, genes, choice.tops)
    )
    obs, var = cell_table(obs, keys, sums), gene_table(var, genes, sums)
    with atomic_path(out) as path:
        _write(source, held, path, obs, var, uns, genes, ready, limits, progress)
    return report


def preprocess_file(
    path_in: str | Path,
    path_out: str | Path,
    keys: ObsKeys,
    params: PreprocessParams | None = None,
    *,
    layer: str | None = None,
    dataset: str = "",
    limits: Limits | None = None,
    progress: bool = False,
) -> PreprocessReport:
    """Make a curated file of an h5ad file: :func:`preprocess` with the file's own tables.

    Args:
        path_in: an h5ad file with raw counts.
        path_out: the file to write.
        keys: which columns hold conditions and covariates.
        params: what to keep.
        layer: where the counts are; see :class:`H5adSource`.
        dataset: the dataset's name.
        limits: threads, memory and compression.
        progress: show progress bars.

    Raises:
        InputError: as :func:`preprocess`; the message names the file; or ``path_out`` is ``path_in``.
        IntegrityError: the file is damaged.
    """
    require_apart(path_out, path_in)
    with H5adSource(path_in, layer=layer) as source, about(path_in):
        return preprocess(
            source,
            source.obs,
            source.var,
            keys,
            params,
            out=path_out,
            dataset=dataset,
            limits=limits,
            progress=progress,
        )


def _one_spelling(obs: pd.DataFrame, keys: ObsKeys, where: object) -> tuple[pd.DataFrame, list[Note]]:
    """The table with one spelling a condition, and what a reader must know of its names: logged, too."""
    checked = check_obs(obs, keys, where=where)
    for remark in checked.remarks:
        logger.warning("%s", remark)
    return checked.obs, [Note("names", NAMES[remark.kind], remark.count, remark.examples) for remark in checked.remarks]


def _write(
    source: CountSource,
    held: HeldCounts,
    path: Path,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: dict[str, Any],
    genes: KeptGenes,
    ready: Prepared,
    limits: Limits,
    progress: bool,
) -> None:
    position = np.full(genes.total, -1, dtype=np.int32)
    position[genes.columns] = np.arange(len(genes.columns))
    ready = replace(ready, position=position)
    sums = np.zeros(len(genes.columns))
    with CuratedWriter(path, limits.compression, ready.threads) as writer:
        chunks = count_chunks(source, "Writing", progress, held)
        for lanes in read_ahead(_subset(chunk, ready) for chunk in chunks):
            for values, counts, indices, lengths in lanes:
                kernels.add_columns(indices, values, sums)
                writer.append(values, counts, indices, lengths)
        var["mean_log1p"] = sums / max(len(obs), 1)
        writer.finish(obs, var, uns)


def _subset(chunk: Chunk, ready: Prepared) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Of each lane of rows, in order: log1p values, counts, gene numbers, and how many of each cell."""
    arrays = (chunk.indptr, chunk.indices, chunk.data)
    scales, stored, genes = ready.scales[chunk.span], chunk.lengths, ready.genes
    lengths = np.zeros(chunk.rows, dtype=np.int64)

    def work(lane: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        room = int(np.minimum(stored[rows], genes).sum())
        indices, counts = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
        values = np.empty(room, dtype=np.float32)
        out = (lengths, indices, counts, values)
        n = kernels.write_rows(*arrays, rows, ready.position, genes, scales, *out)
        return values[:n], counts[:n], indices[:n], lengths[rows]

    return run_lanes(work, split_rows(np.arange(chunk.rows), stored, ready.threads))


def _target(totals: np.ndarray, asked: float | None) -> np.float32:
    """What totals are scaled to: scanpy's median over all cells of a CSR matrix, those without counts included."""
    target = np.float32(asked) if asked is not None else np.median(totals.astype(np.float32))
    if not target > 0:
        raise InputError(
            "The median cell has no counts: there is nothing to scale to",
            where="normalisation",
            fix="Remove the empty cells, or give target_sum (--target-sum), such as 10000.",
        )
    return np.float32(target)


def _scales(totals: np.ndarray, target: np.float32) -> np.ndarray:
    scales = totals.astype(np.float32) / target
    scales[totals == 0] = 1
    return scales


def _places(keep: np.ndarray) -> np.ndarray:
    return np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)


def _uns(info: CuratedInfo, degs: pd.DataFrame) -> dict[str, Any]:
    return {UNS_KEY: info.to_uns(), DEGS_KEY: degs, "log1p": {}}


def _parameters(params: PreprocessParams, report: PreprocessReport) -> dict[str, Any]:
    return asdict(params) | {"report": report.to_json()}


def _report(
    source: CountSource,
    groups: CellGroups,
    expressed: np.ndarray,
    genes: KeptGenes,
    target: float,
    notes: tuple[Note, ...],
    conditions: pd.Series,
) -> PreprocessReport:
    return PreprocessReport(
        cells=source.shape[0],
        states=len(groups.states),
        conditions=int(conditions.astype(str).nunique()),
        genes_in=source.shape[1],
        genes_expressed=int(expressed.sum()),
        genes_out=len(genes.names),
        highly_variable=int(genes.highly_variable.sum()),
        differentially_expressed=int(genes.differentially_expressed.sum()),
        perturbed=int(genes.perturbed.sum()),
        target_sum=target,
        selection_cells=int((groups.group_of_cell >= 0).sum()),
        notes=notes,
    )


def _require_names(source: CountSource, obs: pd.DataFrame, var: pd.DataFrame) -> None:
    for names, table, what in ((source.obs_names, obs, "cells"), (source.var_names, var, "genes")):
        if not names.equals(table.index):
            raise InputError(
                f"The table of {what} does not have the source's {what} in the source's order",
                where=f"{len(table):,} rows, {len(names):,} {what}",
                fix="Select and rename both alike.",
            )
        if not names.is_unique:
            twice = names[names.duplicated()].unique()
            raise InputError(
                f"{len(twice):,} names of {what} occur more than once",
                where=what,
                fix=f"Drop them, or rename with make_unique: {some(twice, 3)}.",
            )
