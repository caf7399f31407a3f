"""The part of the lineage around an artifact or a run: everything before it, and what was made from it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from perturbench_lamin.browse.snapshot import Snapshot

MOST_NODES = 240
"""In each direction: enough for a leaderboard of fifty trainings to reach back to the raw files. Like nodes are drawn
as one; the nearest are kept, and how many are not shown is said."""

READ, MADE, MADE_AGAIN = "read", "made", "made again"


@dataclass(frozen=True)
class Neighbourhood:
    """Part of a lineage.

    Attributes:
        centre: uid of the artifact or run that it is about.
        artifacts: uids, in the order of registration.
        runs: uids, in the order of registration.
        edges: source, target, and ``read``, ``made`` or ``made again``.
        left_out: how many nodes are not shown.
    """

    centre: str
    artifacts: tuple[str, ...]
    runs: tuple[str, ...]
    edges: tuple[tuple[str, str, str], ...]
    left_out: int


@dataclass(frozen=True)
class Lineage:
    """Which run read and made what, both ways; uids of records that are not there are left out.

    Attributes:
        snapshot: the instance.
        makers: by artifact, the run that made it and those that made it again, that one first.
        readers: by artifact, the runs that read it.
        order: place of each artifact and run in the order of registration.
    """

    snapshot: Snapshot
    makers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Lineage:
        """The lineage of an instance."""
        makers: dict[str, list[str]] = defaultdict(list)
        readers: dict[str, list[str]] = defaultdict(list)
        for run in snapshot.runs.values():
            for uid in run.outputs:
                makers[uid].insert(0, run.uid)
            for uid in run.recreated:
                makers[uid].append(run.uid)
            for uid in run.inputs:
                readers[uid].append(run.uid)
        order = {uid: place for known in (snapshot.artifacts, snapshot.runs) for place, uid in enumerate(known)}
        return cls(snapshot, _frozen(makers), _frozen(readers), order)

    def before(self, uid: str) -> list[str]:
        """What a node directly came from."""
        run = self.snapshot.runs.get(uid)
        return self._known(run.inputs if run else self.makers.get(uid, ()))

    def after(self, uid: str) -> list[str]:
        """What directly came from a node."""
        run = self.snapshot.runs.get(uid)
        return self._known((*run.outputs, *run.recreated) if run else self.readers.get(uid, ()))

    def _known(self, uids: Iterable[str]) -> list[str]:
        artifacts, runs = self.snapshot.artifacts, self.snapshot.runs
        return [uid for uid in uids if uid in runs or (uid in artifacts and not artifacts[uid].is_of_a_run)]


def neighbourhood(lineage: Lineage, centre: str, most: int = MOST_NODES) -> Neighbourhood:
    """What led to ``centre``, and what was made from it, the nearest ``most`` nodes of each."""
    earlier, not_shown = _reached(lineage.before, centre, most)
    later, not_shown_later = _reached(lineage.after, centre, most)
    shown = {*earlier, *later}
    snapshot = lineage.snapshot
    runs = tuple(sorted((uid for uid in shown if uid in snapshot.runs), key=lineage.order.__getitem__))
    return Neighbourhood(
        centre,
        artifacts=tuple(sorted((uid for uid in shown if uid in snapshot.artifacts), key=lineage.order.__getitem__)),
        runs=runs,
        edges=tuple(_edges(snapshot, runs, shown)),
        left_out=not_shown + not_shown_later,
    )


def _reached(step: Callable[[str], list[str]], start: str, most: int) -> tuple[list[str], int]:
    """Nodes by distance, and how many at the edge were left out."""
    found, left_out = {start: None}, set[str]()
    waiting = deque([start])
    while waiting:
        for uid in step(waiting.popleft()):
            if uid in found:
                continue
            if len(found) >= most:
                left_out.add(uid)
                continue
            found[uid] = None
            waiting.append(uid)
    return list(found), len(left_out)


def _edges(snapshot: Snapshot, runs: tuple[str, ...], shown: set[str]) -> Iterable[tuple[str, str, str]]:
    for run in (snapshot.runs[uid] for uid in runs):
        yield from ((uid, run.uid, READ) for uid in run.inputs if uid in shown)
        yield from ((run.uid, uid, MADE) for uid in run.outputs if uid in shown)
        yield from ((run.uid, uid, MADE_AGAIN) for uid in run.recreated if uid in shown)


def _frozen(groups: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(values) for key, values in groups.items()}
