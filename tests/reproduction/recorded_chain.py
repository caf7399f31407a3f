"""A recorded chain of small notebooks to reproduce: ingest, curate, fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

INGEST = """
path = Path(raw_folder) / "tiny" / "numbers.csv"
artifacts.save(path, "raw/tiny/numbers.csv", "Deposited numbers", features={"simulated": simulated, "dataset": "tiny"})
"""
CURATE = """
table = pd.read_csv(artifacts.load(raw[0]))
assert artifacts.get(raw[0]).features.get_values()["simulated"] is True
assert limit is None or limit > 0
matrix = sparse.csr_matrix(table.to_numpy(dtype="float32"))
adata = ad.AnnData(matrix, obs=pd.DataFrame({"condition": ["a", "b", "control"]}, index=list("xyz")))
adata.uns["made_from"] = raw[0]
adata.write_h5ad("tiny.h5ad")
artifacts.save("tiny.h5ad", "curated/tiny.h5ad", "Curated numbers")
Path("task.csv").write_text("x,train\\ny,val\\nz,test\\n")
artifacts.save("task.csv", "splits/tiny/task.csv", "Split of the numbers")
"""
FIT = """
adata = ad.read_h5ad(artifacts.load(curated))
artifacts.load("splits/tiny/task.csv")
weight = adata.X.toarray().mean(0) + seed
run = ln.context.run.uid
Path("best.txt").write_text(str(weight))
artifacts.save("best.txt", f"models/tiny/{run}/best.txt", "A model", kind="model")
pd.DataFrame({"metric": ["sum"], "value": [weight.sum()]}).to_csv("metrics.csv", index=False)
artifacts.save("metrics.csv", f"metrics/tiny/seed{seed}.csv", "Metrics")
"""
NOTEBOOKS = {
    "ingest": ('simulated = False\nraw_folder = ""\nwork_folder = "."', ("simulated",), INGEST),
    "curate": ('raw = []\nlimit = 7\nwork_folder = "."', ("raw", "limit"), CURATE),
    "fit": ('curated = "curated/tiny.h5ad"\nseed = 0\nwork_folder = "."', ("curated", "seed"), FIT),
}


def write_notebooks(folder: Path) -> None:
    import nbformat.v4 as nb

    for place, (name, (parameters, tracked, code)) in enumerate(NOTEBOOKS.items()):
        params = ", ".join(f'"{one}": {one}' for one in tracked)
        imports = "from pathlib import Path\n\nimport anndata as ad\nimport pandas as pd\nfrom scipy import sparse\n"
        cells = [
            nb.new_markdown_cell(f"# The notebook {name}\n\nIt does little."),
            nb.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            nb.new_code_cell(
                f'import lamindb as ln\n\nln.track("recordeda00{place}", key="small/{name}.ipynb", params={{{params}}})'
            ),
            nb.new_code_cell(f"%matplotlib inline\n{imports}\nfrom perturbench_lamin.lineage import artifacts"),
            nb.new_code_cell(code.strip()),
            nb.new_code_cell("ln.finish(ignore_non_consecutive=True)"),
        ]
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        path = folder / "small" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(nb.new_notebook(cells=cells, metadata={"kernelspec": kernel})))


RECORD = """
import sys
from pathlib import Path
from perturbench_lamin.chain.lock import only_one
from perturbench_lamin.chain.run import Chain, run_chain
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.lineage.instance import local_instance

root = Path(sys.argv[1])
raw, curated = Output("ingest", "raw/tiny/numbers.csv"), Output("curate", "curated/tiny.h5ad")
steps = [
    Step("ingest", "small/ingest.ipynb", {"simulated": True}, settings={"raw_folder": str(root / "raw")},
         outputs=("raw/tiny/numbers.csv",)),
    Step("curate", "small/curate.ipynb", {"limit": None}, inputs={"raw": (raw,)},
         outputs=("curated/tiny.h5ad", "splits/tiny/task.csv")),
    Step("fit", "small/fit.ipynb", {"seed": 3}, inputs={"curated": curated}, outputs=("metrics/tiny/seed3.csv",)),
]
with only_one(root / "instance") as handle:
    results = run_chain(Chain("small", steps, local_instance(root / "instance"), root / "notebooks", handle))
for result in results:
    print(result.step.name, result.state, result.problem)
"""
CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "LAMIN_TESTING", "BUILD_ID")


def environment(root: Path) -> dict[str, str]:
    """The environment of a user who has no LaminDB settings yet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMIN_")}
    for name in CI_VARIABLES:
        kept.pop(name, None)
    return {**kept, "LAMIN_SETTINGS_DIR": str(root / "settings")}


def record(root: Path) -> str:
    command = [sys.executable, "-c", RECORD, str(root)]
    done = subprocess.run(command, env=environment(root), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def reproduce(root: Path, *arguments: str) -> tuple[int, str, str]:
    """Call the verb: its exit code, what it printed, its errors."""
    command = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()", "reproduce", *arguments]
    done = subprocess.run(
        [*command, "--instance", str(root / "instance")],
        cwd=root, env=environment(root), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def query(root: Path, code: str) -> object:
    """Evaluate an expression in a process connected to the recorded instance."""
    slug = (root / "instance" / ".lamin" / "current_instance").read_text().strip()
    script = f"import json\nimport lamindb as ln\nprint('ANSWER' + json.dumps({code}, default=str))"
    variables = {**environment(root), "LAMIN_CURRENT_INSTANCE": slug}
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("ANSWER")[1])
