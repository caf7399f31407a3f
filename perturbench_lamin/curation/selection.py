"""Second pass: which genes vary and which respond, from sums by group of cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from perturbench_lamin.curation import kernels
from perturbench_lamin.curation.counts import CountSums
from perturbench_lamin.curation.differential import moments, top_genes, welch_t
from perturbench_lamin.curation.groups import CellGroups
from perturbench_lamin.curation.held import HeldCounts
from perturbench_lamin.curation.lanes import run_lanes, split_rows
from perturbench_lamin.curation.passes import Chunk, count_chunks
from perturbench_lamin.curation.report import Limits, Note, PreprocessParams, note_of
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.curation.variable_genes import (
    SPANS,
    Trend,
    fit_trend,
    highly_variable,
    standardised_variance,
)

Controls = dict[int, tuple[np.ndarray, np.ndarray]]
"""Mean and variance of each group of controls."""

EXACT = 1 << 53
"""Below this, float64 holds every whole number."""


@dataclass(frozen=True)
class Tops:
    """The top genes of each group.

    Attributes:
        group: (rows,) group numbers, ascending.
        rank: (rows,) from 0.
        gene: (rows,) places among the genes expressed.
        score: (rows,) t.
    """

    group: np.ndarray
    rank: np.ndarray
    gene: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """What the second pass needs to know of the first.

    Attributes:
        position: int32 (all genes,) place among the genes expressed, or -1.
        scales: float32 (cells,) what a cell's counts are divided by.
        threads: how many.
    """

    position: np.ndarray
    scales: np.ndarray
    threads: int

    @property
    def genes(self) -> int:
        """How many genes are expressed in enough cells."""
        return int((self.position >= 0).sum())


@dataclass(frozen=True)
class Choice:
    """The genes chosen, as places among the genes expressed, and what was left out."""

    variable: np.ndarray
    tops: Tops
    notes: tuple[Note, ...]


def choose_genes(
    source: CountSource,
    held: HeldCounts,
    groups: CellGroups,
    sums: CountSums,
    ready: Prepared,
    params: PreprocessParams,
    limits: Limits,
    *,
    progress: bool = False,
) -> Choice:
    """Choose highly variable and differentially expressed genes in one pass over the source.

    Where the sums of all groups exceed ``limits.memory_mib``, the groups are worked through in blocks; the
    second and later blocks read only the chunks that hold their cells, unless all are held in memory.
    """
    state_sums = sums.state_sums[:, ready.position >= 0]
    trends = _trends(groups, state_sums) if params.highly_variable else {}
    clips = _Clips(groups, trends, sums, state_sums, ready)
    tested = _tested(groups) if params.degs else np.zeros(0, dtype=np.int64)
    tops: list[Tops] = []
    for number, block in enumerate(_blocks(groups, tested, ready.genes, limits.memory_mib)):
        clip = clips if number == 0 else None
        tops.append(_one_pass(source, held, groups, ready, block, clip, params.degs, progress))
    variable, tied = _variable(_variances(trends, clips, ready.genes), params)
    return Choice(variable, _join(tops), (*_notes(groups, trends, params, ready.genes), *tied))


def _trends(groups: CellGroups, state_sums: np.ndarray) -> dict[int, Trend]:
    return {
        state: fit_trend(
            state_sums[state, :, 0], state_sums[state, :, 1], int(cells), where=f"state {_state(groups, state)}"
        )
        for state, cells in enumerate(groups.state_cells)
        if cells >= 2
    }


class _Clips:
    """Sums of clipped counts by state and gene, each lane its own range of genes.

    Where no count of a gene exceeds its limit, these are the sums of the first pass: whole numbers, which float64
    adds up exactly in any order. Only the other genes are added up again.
    """

    def __init__(
        self, groups: CellGroups, trends: dict[int, Trend], sums: CountSums, state_sums: np.ndarray, ready: Prepared
    ) -> None:
        shape = (len(groups.states), ready.genes) if trends else (0, 0)
        self._limits = np.full(shape, np.inf)
        for state, trend in trends.items():
            self._limits[state] = trend.limit
        self.sums = state_sums[: shape[0], : shape[1], :2].astype(np.float64)
        squares, largest = state_sums[: shape[0], : shape[1], 1:].transpose(2, 0, 1)
        again = ((largest > self._limits) | (squares >= EXACT)).any(axis=0)
        self.sums[:, again] = 0
        self.active = bool(again.any())
        self._position = ready.position.copy()
        self._position[np.flatnonzero(ready.position >= 0)[: shape[1]][~again]] = -1
        numbers = np.arange(len(ready.position))
        self._lanes = split_rows(numbers, np.maximum(sums.gene_cells, 1), ready.threads)

    def add(self, chunk: Chunk, states: np.ndarray) -> None:
        rows = np.argsort(states, kind="stable")
        rows = rows[states[rows] >= 0]
        arrays = (chunk.indptr, chunk.indices, chunk.data, rows, states, self._position, self._limits)

        def work(lane: int, genes: np.ndarray) -> None:
            kernels.clipped_sums(*arrays, genes[0], genes[-1] + 1, self.sums)

        run_lanes(work, self._lanes)


def _tested(groups: CellGroups) -> np.ndarray:
    """The groups to test: two cells or more, not control."""
    control = groups.control_group[groups.group_state]
    numbers = np.arange(len(groups.group_cells))
    return np.flatnonzero((numbers != control) & (control >= 0) & (groups.group_cells >= 2))


def _blocks(groups: CellGroups, tested: np.ndarray, genes: int, memory_mib: int) -> Iterator[np.ndarray]:
    """Blocks of groups to test, each with the controls of its states; at least one block, maybe empty."""
    room = max(2, (memory_mib << 20) // (max(genes, 1) * 16))
    block: list[int] = []
    current = -1  # groups come state by state, so that their controls need be added once
    for group in tested.tolist():
        control = int(groups.control_group[groups.group_state[group]])
        wanted = [group] if control == current else [control, group]
        if block and len(block) + len(wanted) > room:
            yield np.array(block)
            block, wanted = [], [control, group]
        block += wanted
        current = control
    yield np.array(block, dtype=np.int64)


def _one_pass(
    source: CountSource,
    held: HeldCounts,
    groups: CellGroups,
    ready: Prepared,
    block: np.ndarray,
    clips: _Clips | None,
    degs: int,
    progress: bool,
) -> Tops:
    slot_of_group = np.full(len(groups.group_cells) + 1, -1, dtype=np.int32)  # the last one for group -1
    slot_of_group[block] = np.arange(len(block))
    slots, states, scales = slot_of_group[groups.group_of_cell], groups.state_of_cell, ready.scales
    reuse: HeldCounts | None = held
    if (clips is None or not clips.active) and held.rows < len(slots):
        wanted = np.flatnonzero(slots >= 0)
        if len(wanted) < len(slots):
            source, reuse = source.select_cells(wanted), None
            slots, states, scales = slots[wanted], states[wanted], scales[wanted]
    sums = np.zeros((len(block), ready.genes, 2))
    for chunk in count_chunks(source, "Choosing genes", progress, reuse, whole=True) if len(slots) else ():
        _add_logs(chunk, slots[chunk.span], scales[chunk.span], ready, sums)
        if clips is not None and clips.active:
            clips.add(chunk, states[chunk.span])
    return _top_of_block(groups, block, sums, degs, ready.threads)


def _add_logs(chunk: Chunk, slots: np.ndarray, scales: np.ndarray, ready: Prepared, sums: np.ndarray) -> None:
    order = np.argsort(slots, kind="stable")
    order = order[slots[order] >= 0]

    def work(lane: int, rows: np.ndarray) -> None:
        kernels.log1p_sums(chunk.indptr, chunk.indices, chunk.data, rows, slots, scales, ready.position, sums)

    run_lanes(work, split_rows(order, chunk.lengths[order], ready.threads, keys=slots[order]))


def _top_of_block(groups: CellGroups, block: np.ndarray, sums: np.ndarray, degs: int, threads: int) -> Tops:
    slot = {int(group): i for i, group in enumerate(block)}
    controls = {c: moments(sums[slot[c]], int(groups.group_cells[c])) for c in _controls_in(groups, block)}

    def work(lane: int, tested: np.ndarray) -> list[Tops]:
        return [_top_of_group(groups, group, sums[slot[group]], controls, degs) for group in tested.tolist()]

    tested = block[~np.isin(block, list(controls))]
    found = run_lanes(work, split_rows(tested, np.ones(len(tested)), threads)) if len(tested) else []
    return _join([tops for lane in found for tops in lane])


def _top_of_group(groups: CellGroups, group: int, sums: np.ndarray, controls: Controls, degs: int) -> Tops:
    control = int(groups.control_group[groups.group_state[group]])
    cells, count = int(groups.group_cells[group]), int(groups.group_cells[control])
    scores = welch_t(moments(sums, cells), cells, controls[control], count)
    best = top_genes(scores, degs)
    return Tops(np.full(len(best), group), np.arange(len(best)), best, scores[best])


def _controls_in(groups: CellGroups, block: np.ndarray) -> list[int]:
    return sorted({int(groups.control_group[groups.group_state[group]]) for group in block.tolist()})


def _variances(trends: dict[int, Trend], clips: _Clips, genes: int) -> np.ndarray:
    rows = [standardised_variance(trend, clips.sums[state]) for state, trend in trends.items()]
    return np.stack(rows) if rows else np.zeros((0, genes))


def _variable(variances: np.ndarray, params: PreprocessParams) -> tuple[np.ndarray, list[Note]]:
    if len(variances) == 0:
        return np.zeros(variances.shape[1], dtype=bool), []
    chosen = highly_variable(variances, params.highly_variable, params.ties)
    other = int(np.count_nonzero(chosen & ~highly_variable(variances, params.highly_variable, "order")))
    reason = "equally variable genes at the cut, chosen as numpy's sort leaves them on this processor (ties='scanpy')"
    return chosen, [Note("highly variable", reason, other)] if other else []


def _notes(groups: CellGroups, trends: dict[int, Trend], params: PreprocessParams, genes: int) -> Iterator[Note]:
    cells, control = groups.group_cells, groups.control_group[groups.group_state]
    if params.degs:
        single = np.flatnonzero((cells < 2) & (np.arange(len(cells)) != control))
        yield from note_of(
            "differentially expressed", "groups of one cell, not tested", map(groups.name, single.tolist())
        )
    if params.highly_variable:
        lonely = [_state(groups, state) for state in np.flatnonzero(groups.state_cells < 2).tolist()]
        yield from note_of("highly variable", "states of one cell, left out", lonely)
        wider = [f"{_state(groups, s)} (span {t.span})" for s, t in trends.items() if t.span != SPANS[0]]
        yield from note_of("highly variable", "states whose regression needed a wider span", wider)
        if genes < params.highly_variable:
            reason = f"fewer genes than the {params.highly_variable:,} asked for, all kept"
            yield Note("highly variable", reason, genes)


def _state(groups: CellGroups, state: int) -> str:
    return "/".join(groups.states[state]) or "(all cells)"


def _join(parts: list[Tops]) -> Tops:
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Tops(empty, empty, empty, np.zeros(0))
    fields = ("group", "rank", "gene", "score")
    return Tops(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))
