"""What came of a plan in the scratch instance, before anything is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class MadeFile:
    """An artifact of the scratch instance that stands beside a recorded one."""

    uid: str
    hash: str
    path: str


@dataclass(frozen=True)
class StepOutcome:
    """How the repetition of a step ended, before anything is compared.

    Attributes:
        run: uid of the recorded run.
        again: uid of the run that repeated it; empty where there is none.
        state: ``done``, ``failed``, or ``skipped`` (a step it needs failed).
        problem: what went wrong, for people.
        seconds: from ``ln.track()`` to ``ln.finish()``, as in the record; None where it did not end.
        outputs: uid of the recorded file → what was made now.
        packages: name → version of the installed packages.
        python: version of Python.
        report: the executed notebook as a page; empty where nothing was executed.
    """

    run: str
    state: Literal["done", "failed", "skipped"]
    problem: str = ""
    seconds: float | None = None
    outputs: Mapping[str, MadeFile] = field(default_factory=dict)
    again: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    report: str = ""


@dataclass(frozen=True)
class Outcomes:
    """What came of a plan.

    Attributes:
        given: uid of the recorded file → uid of its copy in the scratch instance.
        steps: one a step, in the order they ran.
    """

    given: Mapping[str, str]
    steps: tuple[StepOutcome, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Outcomes:
        """The outcomes of :meth:`to_dict`."""
        steps = [
            {**one, "outputs": {uid: MadeFile(**made) for uid, made in one["outputs"].items()}}
            for one in plain["steps"]
        ]
        return cls(plain["given"], tuple(StepOutcome(**one) for one in steps))
