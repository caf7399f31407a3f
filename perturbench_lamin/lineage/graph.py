"""How an artifact came about: its runs and artifacts, back to the raw files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perturbench_lamin.lineage import keys
from perturbench_lamin.lineage.intact import Trouble, record_troubles, told, trouble_of

if TYPE_CHECKING:
    import lamindb as ln


@dataclass(frozen=True)
class ArtifactNode:
    """An artifact in a lineage graph.

    Attributes:
        uid: LaminDB's.
        key: its place in the instance.
        description: empty where there is none.
        size: bytes.
        trouble: whether its file is ``gone`` or ``altered`` since.
        origin: of a file from outside, as far as recorded: ``origin``, ``licence``, ``citation`` and ``sha256``.
    """

    uid: str
    key: str
    description: str
    size: int
    trouble: Trouble = ""
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunNode:
    """A run in a lineage graph.

    Attributes:
        uid: LaminDB's.
        transform: key of the notebook.
        transform_uid: of that version of the notebook.
        status: LaminDB's word, such as ``completed``.
        started: when it began.
        seconds: how long it took; None where it did not end.
        params: as the notebook recorded them.
        has_source: whether the notebook's source is kept.
        environment: uid of the artifact with the installed packages; empty where there is none.
        report: uid of the executed notebook's page; empty where there is none.
        inputs: uids of the artifacts it read.
        outputs: uids of the artifacts it made.
        recreated: uids of the artifacts it made again with the same content.
        code: the record of the code that it ran, as :class:`perturbench_lamin.lineage.code.CodeRecord`; or empty.
        troubles: what is wrong with its report, its environment or its kept source, in words.
    """

    uid: str
    transform: str
    transform_uid: str
    status: str
    started: datetime
    seconds: float | None
    params: Mapping[str, Any]
    has_source: bool
    environment: str
    report: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    recreated: tuple[str, ...]
    code: Mapping[str, Any] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class LineageGraph:
    """Runs and artifacts by uid; runs stand in the order in which they must have happened."""

    runs: Mapping[str, RunNode] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactNode] = field(default_factory=dict)


def ancestry(artifact: ln.Artifact) -> LineageGraph:
    """Everything that led to ``artifact``: the runs that made it and its inputs, back to the first.

    Of an artifact that several runs made with the same content, the run that made it first counts. Files are looked at:
    each node says whether they are still what was registered; of files in the cloud, whether they are there.
    """
    runs: dict[str, RunNode] = {}
    artifacts: dict[str, ArtifactNode] = {}

    def visit(found: ln.Artifact) -> None:
        if found.uid in artifacts:
            return
        trouble = trouble_of(found, download=False)
        artifacts[found.uid] = ArtifactNode(
            found.uid, found.key or "", found.description or "", found.size or 0, trouble, _origin(found)
        )
        run = found.run
        if run is None or run.uid in runs or run.transform.key == keys.CHAIN_TRANSFORM:
            return
        inputs = list(run.input_artifacts.all())
        for earlier in inputs:
            visit(earlier)
        runs[run.uid] = _run_node(run, inputs)

    visit(artifact)
    return LineageGraph(runs, artifacts)


def describe(graph: LineageGraph) -> str:
    """The graph as text: one paragraph a run, what it read and what it made."""
    made = {uid for run in graph.runs.values() for uid in run.outputs}
    return "\n\n".join(_paragraph(run, graph.artifacts, made) for run in graph.runs.values())


def step_name(transform: str, params: Mapping[str, Any]) -> str:
    """The notebook's name with the model and seed, where it has them."""
    seed = f"seed {params['seed']}" if "seed" in params else ""
    stem = transform.rsplit("/", 1)[-1].removesuffix(".ipynb")
    return " ".join(word for word in (stem, str(params.get("model", "")), seed) if word)


def _run_node(run: ln.Run, inputs: list[ln.Artifact]) -> RunNode:
    return RunNode(
        uid=run.uid,
        transform=run.transform.key,
        transform_uid=run.transform.uid,
        status=run.status,
        started=run.started_at,
        seconds=(run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
        params=run.params or {},
        has_source=bool(run.transform.source_code),
        environment=run.environment.uid if run.environment else "",
        report=run.report.uid if run.report else "",
        inputs=tuple(artifact.uid for artifact in inputs),
        outputs=tuple(artifact.uid for artifact in run.output_artifacts.all() if artifact.key),
        recreated=tuple(artifact.uid for artifact in run.recreated_artifacts.all() if artifact.key),
        code=(run.extra_data or {}).get("code") or {},
        troubles=tuple(record_troubles(run)),
    )


ORIGIN = {"origin_url": "origin", "licence": "licence", "citation": "citation", "sha256": "sha256"}
"""Features of an artifact that say where it comes from, and their words."""


def _origin(artifact: ln.Artifact) -> dict[str, str]:
    from perturbench_lamin.lineage.features import plain_values

    told = plain_values(artifact)  # LaminDB's own get_values() cuts a text at its commas
    return {word: str(told[name]) for name, word in ORIGIN.items() if told.get(name)}


def _paragraph(run: RunNode, artifacts: Mapping[str, ArtifactNode], made: Collection[str]) -> str:
    """A run; the origin of a file stands where it was made, or where it was read if no run of the graph made it."""
    took = "did not end" if run.seconds is None else f"{run.seconds:.0f} s"
    kept = [
        name
        for name, there in (("source", run.has_source), ("environment", run.environment), ("report", run.report))
        if there
    ]
    lines = [
        f"{run.transform}  run {run.uid}  {run.status}, {run.started:%Y-%m-%d %H:%M} UTC, {took}",
        f"    parameters  {', '.join(f'{name}={value!r}' for name, value in run.params.items()) or 'none'}",
        f"    kept        {', '.join(kept) or 'nothing'}",
        f"    code        {code_in_words(run.code)}",
        *(f"    ALTERED     {trouble}" for trouble in run.troubles),
    ]
    for word, uids in (("read", run.inputs), ("made", run.outputs)):
        shown = [artifacts[uid] for uid in uids if uid in artifacts]
        for node in shown:
            lines.append(f"    {word:10s}  {node.key}  ({node.uid}, {_size(node.size)}){_warning(node)}")
            if word == "made" or node.uid not in made:
                lines += [f"    {'':10s}    {name:9s} {text}" for name, text in node.origin.items()]
    return "\n".join(lines)


def troubles(graph: LineageGraph) -> list[str]:
    """What of a graph is gone or was altered since it was registered, in words."""
    files = [told(node.key, node.uid, node.trouble) for node in graph.artifacts.values() if node.trouble]
    return [*files, *(trouble for run in graph.runs.values() for trouble in run.troubles)]


def code_in_words(code: Mapping[str, Any]) -> str:
    """Which code a run ran, from its record."""
    if not code:
        return "not recorded"
    commit, kept = str(code["commit"])[:12], code["source"]
    words = {
        f"commit {commit}" if commit else "no commit": True,
        "clean" if code["clean"] else "with changes": bool(commit),
        f"copy {kept}": bool(kept),
        "written to while it ran": bool(code.get("moved")),
    }
    return ", ".join(word for word, is_so in words.items() if is_so)


def _warning(node: ArtifactNode) -> str:
    return f"  {node.trouble.upper()} since it was registered" if node.trouble else ""


def _size(n_bytes: float) -> str:
    for unit in ("B", "KB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"
