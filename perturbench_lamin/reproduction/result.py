"""What a reproduction found: each step's verdict, and what changed in the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from perturbench_lamin.reproduction.environment import changes
from perturbench_lamin.reproduction.outcome import Outcomes, StepOutcome
from perturbench_lamin.reproduction.plan import Plan, RecordedFile, RecordedStep
from perturbench_lamin.reproduction.same_content import same_content

State = Literal["identical", "equivalent", "ignored", "lost", "different", "failed", "skipped"]
WORST: tuple[State, ...] = ("skipped", "failed", "different", "lost", "equivalent", "identical", "ignored")
"""From worst to best: a step is as good as its worst output."""
GOOD = frozenset({"identical", "equivalent", "ignored"})


@dataclass(frozen=True)
class FileResult:
    """A recorded output beside the one made now.

    Attributes:
        key: of the recorded artifact.
        state: as of a content comparison; ``lost`` where the recorded file is gone or altered and the file made now
            is not the one that was registered.
        detail: what differs, for people.
    """

    key: str
    state: State
    detail: str = ""


@dataclass(frozen=True)
class StepResult:
    """A recorded step beside its repetition.

    Attributes:
        step: the record.
        state: of its worst output; ``failed`` or ``skipped`` where it was not executed to its end.
        outcome: the repetition.
        files: one a recorded output.
        changed: package → version then and now; ``Python`` among them.
    """

    step: RecordedStep
    state: State
    outcome: StepOutcome
    files: tuple[FileResult, ...]
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def reproduced(self) -> bool:
        """Whether the step gave the same again."""
        return self.state in GOOD


def results(plan: Plan, outcomes: Outcomes) -> list[StepResult]:
    """Compare what was made with the record, a step after the other."""
    names = _names(plan, outcomes)
    by_run = {outcome.run: outcome for outcome in outcomes.steps}
    return [_step_result(step, by_run[step.run], names) for step in plan.steps]


def _names(plan: Plan, outcomes: Outcomes) -> dict[str, str]:
    """Uids and hashes of the record → those that stand for them now: files name each other by them."""
    hashes = {uid: file.hash for uid, file in plan.files().items()}
    names = dict(outcomes.given)
    for outcome in outcomes.steps:
        names.update({outcome.run: outcome.again} if outcome.again else {})
        for uid, made in outcome.outputs.items():
            names.update({uid: made.uid, **({hashes[uid]: made.hash} if hashes[uid] and made.hash else {})})
    return names


def _step_result(step: RecordedStep, outcome: StepOutcome, names: Mapping[str, str]) -> StepResult:
    files = () if outcome.state == "skipped" else tuple(_file_result(file, outcome, names) for file in step.outputs)
    state: State = outcome.state if outcome.state != "done" else _worst(files)
    return StepResult(step, state, outcome, files, _changed(step, outcome))


def _worst(files: Sequence[FileResult]) -> State:
    return min((file.state for file in files), key=WORST.index, default="ignored")


def _file_result(file: RecordedFile, outcome: StepOutcome, names: Mapping[str, str]) -> FileResult:
    if file.uid not in outcome.outputs:
        return FileResult(file.key, "different", "was not made again")
    now = Path(outcome.outputs[file.uid].path)
    if file.trouble:
        return _beside_lost(file, now)
    verdict = same_content(Path(file.path), now, file.suffix, names)
    return FileResult(file.key, verdict.state, verdict.detail)


def _beside_lost(file: RecordedFile, now: Path) -> FileResult:
    """The recorded file cannot be compared with; its registered hash can."""
    from perturbench_lamin.lineage.intact import is_registered, tells_all

    told = "is gone" if file.trouble == "gone" else "was altered since it was registered"
    checksum = file.features.get("sha256")
    if tells_all(file.hash_type, checksum) and is_registered(now, file.hash, file.hash_type, checksum):
        return FileResult(file.key, "identical", f"the recorded file {told}; the new one has its registered hash")
    return FileResult(file.key, "lost", f"the recorded file {told}: nothing to compare with")


def _changed(step: RecordedStep, outcome: StepOutcome) -> dict[str, tuple[str, str]]:
    python = {"Python": (step.python, outcome.python)} if step.python and outcome.python else {}
    moved = {name: pair for name, pair in python.items() if pair[0] != pair[1]}
    return {**moved, **changes(step.packages, outcome.packages)}
