"""A plan and its results as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from perturbench_lamin.errors import some
from perturbench_lamin.reproduction.code import changed, told
from perturbench_lamin.reproduction.plan import Plan, RecordedStep
from perturbench_lamin.reproduction.result import StepResult

if TYPE_CHECKING:
    import pandas as pd


def plan_text(plan: Plan) -> str:
    """The steps in their order, and the files that are taken as recorded."""
    lines = [f"{len(plan.steps)} steps lead to {plan.target.key} ({plan.target.uid}):"]
    for place, step in enumerate(plan.steps, start=1):
        took = "did not end" if step.seconds is None else f"took {step.seconds:.0f} s"
        lines.append(f"[{place:2d}] {step.name:36s} {step.transform}, version {step.transform_uid}, {took}")
        lines += [f"       note: {note}" for note in (*step.notes, *filter(None, [_code(plan, step)]))]
        lines += [f"       {file.key}: the recorded file is {file.trouble}" for file in step.outputs if file.trouble]
    if plan.given:
        lines.append("Taken as recorded:")
    for one in plan.given:
        trouble = f"; its file is {one.file.trouble.upper()}" if one.file.trouble else ""
        lines.append(f"     {one.file.key or one.file.uid} ({one.file.uid}): {one.why}{trouble}")
    return "\n".join(lines)


def _code(plan: Plan, step: RecordedStep) -> str:
    """Which code a step runs, where that is not simply today's as recorded."""
    if plan.code == "today" or step.code is None:
        return told(step)
    kept = f"of commit {step.code.commit[:12]}" if not step.code.source else f"kept as {step.code.source}"
    return f"runs the recorded code, {kept}"


def results_table(results: Sequence[StepResult]) -> pd.DataFrame:
    """One row a step: outcome, seconds then and now, outputs by outcome, what went wrong or differs."""
    import pandas as pd

    return pd.DataFrame(
        {
            "step": [result.step.name for result in results],
            "outcome": [result.state for result in results],
            "seconds_then": [result.step.seconds for result in results],
            "seconds_now": [result.outcome.seconds for result in results],
            "outputs": [len(result.files) for result in results],
            "changed_packages": [len(result.changed) for result in results],
            "detail": [_detail(result) for result in results],
            "run": [result.step.run for result in results],
        }
    )


def results_text(results: Sequence[StepResult]) -> str:
    """The table, each output that is not simply identical, and the environment."""
    lines = [f"{'step':36s} {'outcome':11s} {'then':>7s} {'now':>7s}  detail"]
    for result in results:
        then, now = _time(result.step.seconds), _time(result.outcome.seconds)
        lines.append(f"{result.step.name:36s} {result.state:11s} {then:>7s} {now:>7s}  {_detail(result)}".rstrip())
    return "\n".join([*lines, "", *_environment(results), *_codes(results)])


def _detail(result: StepResult) -> str:
    if result.outcome.problem:
        recorded = f" ({some(result.step.notes)})" if result.step.notes else ""
        return result.outcome.problem + recorded
    told = [f"{file.key}: {file.state}, {file.detail}" for file in result.files if file.detail]
    return "; ".join(told) or f"{len(result.files)} outputs"


def _environment(results: Sequence[StepResult]) -> list[str]:
    known = [result for result in results if result.step.packages and result.outcome.packages]
    unknown = len(results) - len(known)
    lines = [f"The packages of {unknown} steps are not known, then or now."] if unknown else []
    pairs = sorted({(name, *pair) for result in known for name, pair in result.changed.items()})
    if not pairs:
        return [*lines, "Environment: no package changed." if known else "Environment: not known."]
    lines.append(f"Environment: {len({name for name, *_ in pairs})} packages changed (then → now):")
    return [*lines, *(f"  {name}  {then or 'not installed'} → {now or 'not installed'}" for name, then, now in pairs)]


def _codes(results: Sequence[StepResult]) -> list[str]:
    """How today's code relates to the record's."""
    known = [result.step for result in results if result.step.code]
    unknown = len(results) - len(known)
    lines = [f"The code of {unknown} steps was not recorded."] if unknown else []
    others = sorted({name for step in known for name in changed(step)})
    if not others:
        return [*lines, "Code: today's is the record's."] if known else lines
    return [*lines, f"Code: {len(others)} files of today's are not the record's: {some(others)}"]


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f} s"
