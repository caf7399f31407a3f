"""A chain of tiny notebooks, to see how chains behave without the time that real ones take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

UIDS = {"make": "aaaaaaaaMAKE", "double": "aaaaaaDOUBLE", "other": "aaaaaaaOTHER"}

MAKE = """
from pathlib import Path
path = Path(work_folder) / "number.txt"
path.write_text(Path(source).read_text() if source else str(number))
artifacts.save(path, "tiny/number.txt", "A number")
"""
DOUBLE = """
import os, signal, time
from pathlib import Path
value = int(artifacts.load(number_file).read_text())
if Path(behave).exists():
    how = Path(behave).read_text()
    if how == "raise":
        raise ValueError("told to fail")
    if how == "wait":
        Path(behave + ".waiting").write_text(str(os.getpid()))
        time.sleep(600)
    if how == "die":
        os.write(2, b"last words")
        os.kill(os.getpid(), signal.SIGKILL)
path = Path(work_folder) / "doubled.txt"
path.write_text(str(2 * value))
artifacts.save(path, "tiny/doubled.txt", "Twice the number")
"""
OTHER = """
from pathlib import Path
path = Path(work_folder) / "other.txt"
path.write_text("other " + artifacts.load(number_file).read_text())
artifacts.save(path, "tiny/other.txt", "Something else made of the number")
"""
PARAMETERS = {
    "make": 'number = 1\nsource = ""\nwork_folder = "."',
    "double": 'number_file = "tiny/number.txt"\nbehave = ""\nwork_folder = "."',
    "other": 'number_file = "tiny/number.txt"\nwork_folder = "."',
}
TRACKED = {"make": "number", "double": "number_file", "other": "number_file"}


def write_notebook(folder: Path, name: str, code: str) -> None:
    track = f'ln.track("{UIDS[name]}", key="tiny/{name}.ipynb", params={{"{TRACKED[name]}": {TRACKED[name]}}})'
    sources = [
        (["parameters"], PARAMETERS[name]),
        ([], f"import lamindb as ln\n\n{track}\nfrom perturbench_lamin.lineage import artifacts"),
        ([], code.strip()),
        ([], "ln.finish(ignore_non_consecutive=True)"),
    ]
    cells = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": [f"# The notebook {name}"]}]
    cells += [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{place}",
            "metadata": {"tags": tags},
            "outputs": [],
            "source": source.splitlines(keepends=True),
        }
        for place, (tags, source) in enumerate(sources)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps(book))


def write_notebooks(root: Path) -> None:
    for name, code in {"make": MAKE, "double": DOUBLE, "other": OTHER}.items():
        write_notebook(root / "notebooks" / "tiny", name, code)


RUN = """
import json, sys
from pathlib import Path
from perturbench_lamin.locks import only_one
from perturbench_lamin.chain.run import Chain, run_chain
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.lineage.instance import local_instance

root, number, source = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
made = Output("make", "tiny/number.txt")
steps = [
    Step("make", "tiny/make.ipynb", {"number": number}, settings={"source": source}, outputs=("tiny/number.txt",),
         external=(Path(source),) if source else ()),
    Step("double", "tiny/double.ipynb", inputs={"number_file": made}, settings={"behave": str(root / "behave")},
         outputs=("tiny/doubled.txt",)),
    Step("other", "tiny/other.ipynb", inputs={"number_file": made}, outputs=("tiny/other.txt",)),
]
with only_one(root / "instance") as handle:
    instance = local_instance(root / "instance")
    results = run_chain(Chain("tiny", steps, instance, root / "notebooks", handle))
print("RESULTS" + json.dumps({r.step.name: [r.state, r.problem, dict(r.outputs), r.run, r.notes] for r in results}))
"""

CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "LAMIN_TESTING", "BUILD_ID")


def environment(root: Path, *, ci: bool) -> dict[str, str]:
    """The environment of a user (or of continuous integration) who has no LaminDB settings yet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMIN_")}
    for name in CI_VARIABLES:
        kept.pop(name, None)
    return {**kept, "LAMIN_SETTINGS_DIR": str(root / "settings"), **({"CI": "true"} if ci else {})}


def start(root: Path, number: int = 1, source: str = "", *, ci: bool = False) -> subprocess.Popen:
    command = [sys.executable, "-c", RUN, str(root), str(number), source]
    return subprocess.Popen(
        command, env=environment(root, ci=ci), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(root: Path, number: int = 1, source: str = "", *, ci: bool = False) -> dict[str, list]:
    process = start(root, number, source, ci=ci)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.split("RESULTS")[1])


def states(results: dict[str, list]) -> dict[str, str]:
    return {name: result[0] for name, result in results.items()}


def query(root: Path, code: str) -> object:
    """Evaluate an expression in a process connected to the chain's instance."""
    slug = (root / "instance" / ".lamin" / "current_instance").read_text().strip()
    script = f"import json\nimport lamindb as ln\nprint('ANSWER' + json.dumps({code}, default=str))"
    variables = {**environment(root, ci=False), "LAMIN_CURRENT_INSTANCE": slug}
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("ANSWER")[1])
