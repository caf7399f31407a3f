"""What is to be executed again: recorded steps and files, as plain values that one process can hand to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from perturbench_lamin.errors import IntegrityError

Start = Literal["deposit", "raw", "curated"]
Code = Literal["today", "recorded"]
Trouble = Literal["", "gone", "altered"]
"""As :data:`perturbench_lamin.lineage.intact.Trouble`, which only an instance's process can import."""

GIVEN_FOLDERS: Mapping[Start, tuple[str, ...]] = {
    "deposit": (),
    "raw": ("raw/", "genes/"),
    "curated": ("raw/", "genes/", "curated/", "splits/"),
}
"""Where a reproduction starts: artifacts in these folders of the instance are taken as they were recorded."""


@dataclass(frozen=True)
class RecordedFile:
    """An artifact of the recorded instance.

    Attributes:
        uid: LaminDB's.
        key: its key.
        path: the local file; for a file in the cloud, its cached copy.
        hash: LaminDB's hash, as registered.
        suffix: such as ``.h5ad``.
        description: as registered.
        kind: LaminDB's kind, such as ``dataset``.
        features: plain feature values, which notebooks may read.
        trouble: what is wrong with the file since: ``gone`` or ``altered``; empty where nothing is.
        hash_type: LaminDB's type of ``hash``.
    """

    uid: str
    key: str
    path: str
    hash: str
    suffix: str
    description: str = ""
    kind: str = "dataset"
    features: Mapping[str, Any] = field(default_factory=dict)
    trouble: Trouble = ""
    hash_type: str = "md5"

    def require_intact(self) -> None:
        """Check that the file may be used.

        Raises:
            IntegrityError: it is gone, or is not what was registered.
        """
        if self.trouble:
            raise IntegrityError(
                f"The file of artifact {self.key} ({self.uid}) "
                + ("is gone" if self.trouble == "gone" else "was altered since it was registered"),
                where=self.path,
                fix="It is an input of the reproduction: restore it, or start later with --from.",
            )


@dataclass(frozen=True)
class RecordedCode:
    """As :class:`perturbench_lamin.lineage.code.CodeRecord`, which only an instance's process can import."""

    commit: str = ""
    clean: bool = False
    source: str = ""
    digest: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)
    moved: bool = False


@dataclass(frozen=True)
class GivenFile:
    """A recorded file that is not made again, and why."""

    file: RecordedFile
    why: str


@dataclass(frozen=True)
class RecordedStep:
    """A recorded run of a notebook, with everything that its repetition needs.

    Attributes:
        name: for people, such as ``train linear seed 1``.
        run: uid of the recorded run.
        status: LaminDB's word for how it ended.
        transform: key of the notebook.
        transform_uid: of that version of the notebook.
        title: of the notebook.
        source: the notebook's source as LaminDB keeps it, in jupytext's percent format.
        params: as the notebook recorded them.
        inputs: uids of the artifacts it read.
        outputs: what it made, or made again.
        seconds: how long it took; None where it did not end.
        packages: name → version of the packages then installed; empty where they were not kept.
        python: version of Python; empty where it was not noted.
        code: the record of the code that it ran; None where there is none.
        sources: the kept copy of that code; None where a commit has it, or there is none.
        notes: what a reader should know before trusting a repetition.
    """

    name: str
    run: str
    status: str
    transform: str
    transform_uid: str
    title: str
    source: str
    params: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[RecordedFile, ...]
    seconds: float | None
    packages: Mapping[str, str]
    python: str
    code: RecordedCode | None = None
    sources: RecordedFile | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The steps that lead to an artifact, each after those whose outputs it reads.

    Attributes:
        target: the artifact that is to be made again.
        start: where to start.
        steps: to be executed, in this order.
        given: files that steps read and no step makes.
        code: whether the steps run today's code or the code that they ran.
    """

    target: RecordedFile
    start: Start
    steps: tuple[RecordedStep, ...]
    given: tuple[GivenFile, ...]
    code: Code = "today"

    def files(self) -> dict[str, RecordedFile]:
        """Every recorded file of the plan, by uid."""
        made = {file.uid: file for step in self.steps for file in step.outputs}
        return {**made, **{one.file.uid: one.file for one in self.given}}

    def needs(self, step: RecordedStep) -> tuple[str, ...]:
        """The runs of the earlier steps that make what ``step`` reads."""
        makers: dict[str, str] = {}
        for earlier in self.steps:
            if earlier.run == step.run:
                break
            makers.update({file.uid: earlier.run for file in earlier.outputs})
        given = {one.file.uid for one in self.given}
        return tuple(dict.fromkeys(makers[uid] for uid in step.inputs if uid in makers and uid not in given))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Plan:
        """The plan of :meth:`to_dict`."""
        steps = tuple(
            RecordedStep(
                **{
                    **one,
                    "inputs": tuple(one["inputs"]),
                    "outputs": tuple(RecordedFile(**file) for file in one["outputs"]),
                    "code": RecordedCode(**one["code"]) if one["code"] else None,
                    "sources": RecordedFile(**one["sources"]) if one["sources"] else None,
                    "notes": tuple(one["notes"]),
                }
            )
            for one in plain["steps"]
        )
        given = tuple(GivenFile(RecordedFile(**one["file"]), one["why"]) for one in plain["given"])
        return cls(RecordedFile(**plain["target"]), plain["start"], steps, given, plain["code"])


@dataclass(frozen=True)
class Scratch:
    """Where a reproduction works.

    Attributes:
        folder: everything lies below it.
    """

    folder: Path

    @property
    def instance(self) -> Path:
        """The folder of the new LaminDB instance."""
        return self.folder / "instance"

    @property
    def deposit(self) -> Path:
        """Copies of the recorded raw files, from which ingestion notebooks are fed instead of the network."""
        return self.folder / "deposit"

    @property
    def plan(self) -> Path:
        """The plan, for the process that executes it."""
        return self.folder / "plan.json"

    @property
    def outcomes(self) -> Path:
        """What came of it."""
        return self.folder / "outcomes.json"

    def code_of(self, step: RecordedStep) -> Path:
        """The folder of the code that a recorded step ran; steps of the same code share it."""
        code = step.code or RecordedCode()
        return self.folder / "code" / (code.source or code.commit)

    def step(self, place: int, step: RecordedStep) -> Path:
        """The working folder of a step; its recorded source lies in it."""
        name = "-".join("".join(c if c.isalnum() else " " for c in step.name).split())
        return self.folder / "steps" / f"{place:02d}-{name}"
