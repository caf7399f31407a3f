"""Runs of small notebooks as LaminDB records them, without the time that kernels take."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

IMPORTS = """
from pathlib import Path

import anndata as ad
import pandas as pd
from scipy import sparse

from perturbench_lamin.lineage import artifacts
"""
INGEST = """
path = Path(raw_folder) / "tiny" / "numbers.csv"
artifacts.save(path, "raw/tiny/numbers.csv", "Deposited numbers", features={"simulated": simulated, "dataset": "tiny"})
"""
CURATE = """
table = pd.read_csv(artifacts.load(raw[0]))
names = artifacts.load("tables/tiny/names.csv").read_text().split()
assert artifacts.get(raw[0]).features.get_values()["simulated"] is True
assert limit is None
matrix = sparse.csr_matrix(table.to_numpy(dtype="float32"))
adata = ad.AnnData(matrix, obs=pd.DataFrame({"condition": ["a", "b", "control"]}, index=names))
adata.uns["made_from"] = artifacts.get(raw[0]).uid
adata.write_h5ad("tiny.h5ad")
artifact = artifacts.save("tiny.h5ad", "curated/tiny.h5ad", "Curated numbers", features={"dataset": "tiny"})
artifact.n_observations = 3
artifact.save()
Path("task.csv").write_text("x,train\\ny,val\\nz,test\\n")
artifacts.save("task.csv", "splits/tiny/task.csv", "Split of the numbers", features={"dataset": "tiny"})
"""
FIT = """
adata = ad.read_h5ad(artifacts.load(curated))
artifacts.load("splits/tiny/task.csv")
weight = adata.X.toarray().mean(0) + seed
Path("best.txt").write_text(str(weight))
key = f"models/tiny/{ln.context.run.uid}/best.txt"
artifacts.save("best.txt", key, "A model", features={"dataset": "tiny"}, kind="model")
pd.DataFrame({"metric": ["sum"], "value": [weight.sum()]}).to_csv("metrics.csv", index=False)
artifacts.save("metrics.csv", f"metrics/tiny/seed{seed}.csv", "Metrics", features={"dataset": "tiny"})
"""
VARY = """
artifacts.load("curated/tiny.h5ad")
Path("varied.csv").write_text("metric,value\\nsum," + Path(outside).read_text())
artifacts.save("varied.csv", "metrics/tiny/varied.csv", "Metrics of a file outside the lineage")
"""
BREAK = """
artifacts.load("curated/tiny.h5ad")
Path("half.csv").write_text("metric,value\\nhalf,0.5\\n")
artifacts.save("half.csv", "metrics/tiny/half.csv", "Saved before the error")
raise ValueError("told to fail")
"""
RANK = """
tables = [pd.read_csv(artifacts.load(f"metrics/tiny/{name}.csv")) for name in ("varied", "half")]
pd.concat(tables).to_csv("board.csv", index=False)
artifacts.save("board.csv", "leaderboards/tiny.csv", "Leaderboard")
"""
SETTINGS = {"raw_folder": '""', "work_folder": '"."'}


def notebook(path: Path, uid: str, params: dict, code: str) -> Path:
    """Write a notebook in the form of the repository's; its parameters have other defaults than recorded."""
    import nbformat
    import nbformat.v4 as nb

    defaults = [*(f'{name} = "default"' for name in params), *(f"{name} = {text}" for name, text in SETTINGS.items())]
    told = ", ".join(f'"{name}": {name}' for name in params)
    track = f'import lamindb as ln\n\nln.track("{uid}", key="small/{path.name}", params={{{told}}})'
    cells = [
        nb.new_markdown_cell(f"# The notebook {path.stem}\n\nIt does little."),
        nb.new_code_cell("\n".join(defaults), metadata={"tags": ["parameters"]}),
        nb.new_code_cell(track),
        nb.new_code_cell(f"%matplotlib inline\n{IMPORTS.strip()}"),
        nb.new_code_cell(code.strip()),
        nb.new_code_cell("ln.finish(ignore_non_consecutive=True)"),
    ]
    nbformat.write(nb.new_notebook(cells=cells), path)
    return path


def record(lamin, folder: Path, name: str, uid: str, params: dict, code: str, *, packages: str = "") -> object:
    """Do in this process what a tracked notebook would have done, and return its run."""
    from lamindb.core._finish import notebook_to_script

    from perturbench_lamin.lineage import runs

    title = f"The notebook {name}"
    script = folder / f"{name}.py"
    notebook_to_script(title, notebook(folder / f"{name}.ipynb", uid, params, code), script)
    transform = lamin.Transform(key=f"small/{name}.ipynb", kind="notebook", description=title).save()
    transform._update_source_code_from_path(script)
    recorded = {key: value for key, value in params.items() if value is not None}  # as LaminDB does
    run = lamin.Run(transform.save(), status="started", params=recorded).save()
    if packages:
        path = folder / f"{name}.txt"
        path.write_text(packages)
        settings = {"description": "requirements.txt", "kind": "__lamindb_run__", "run": False}
        run.environment = lamin.Artifact(path, skip_hash_lookup=True, **settings).save()
    lamin.context._run = run
    before, status = Path.cwd(), runs.Status.COMPLETED
    os.chdir(folder)
    try:
        exec(IMPORTS + code, {**params, "ln": lamin, "raw_folder": str(folder / "deposit")})
    except ValueError:
        status = runs.Status.ERRORED
    finally:
        os.chdir(before)
        lamin.context._run = None
    runs.close(run, status)
    return run


@contextlib.contextmanager
def pipeline_run(lamin, key: str = "a-pipeline"):
    """A run of something that is not a notebook."""
    from perturbench_lamin.lineage import runs

    run = lamin.Run(lamin.Transform(key=key, kind="pipeline").save(), status="started").save()
    lamin.context._run = run
    yield run
    lamin.context._run = None
    runs.close(run, runs.Status.COMPLETED)


def record_all(lamin, folder: Path) -> dict[str, object]:
    """The runs of a small chain, by name; its notebooks and raw files are gone afterwards."""
    from perturbench_lamin.lineage import artifacts

    (folder / "deposit" / "tiny").mkdir(parents=True)
    numbers = folder / "deposit" / "tiny" / "numbers.csv"
    numbers.write_text("a,b\n1,2\n3,4\n5,6\n")
    (folder / "outside.txt").write_text("1.0\n")
    (folder / "names.csv").write_text("x\ny\nz\n")
    with pipeline_run(lamin):
        artifacts.save(folder / "names.csv", "tables/tiny/names.csv", "Names of cells", features={"dataset": "tiny"})
    steps = {
        "ingest": ("recordedst01", {"simulated": True}, INGEST),
        "curate": ("recordedst02", {"raw": ["raw/tiny/numbers.csv"], "limit": None}, CURATE),
        "fit": ("recordedst03", {"curated": "curated/tiny.h5ad", "seed": 3}, FIT),
        "vary": ("recordedst04", {"outside": str(folder / "outside.txt")}, VARY),
        "break": ("recordedst05", {}, BREAK),
        "rank": ("recordedst06", {}, RANK),
    }
    runs = {}
    for name, (uid, params, code) in steps.items():
        if name == "fit":
            params = {**params, "curated": artifacts.get("curated/tiny.h5ad").uid}
        runs[name] = record(lamin, folder, name, uid, params, code, packages="anndata==0.0.1\nold-package==3\n")
        (folder / f"{name}.ipynb").unlink()
    numbers.unlink()
    (folder / "outside.txt").write_text("2.0\n")
    return runs


def missing(kept: Path) -> list[str]:
    """What the records of a kept scratch instance lack; asked by a process of its own."""
    slug = (kept / "instance" / ".lamin" / "current_instance").read_text().strip()
    script = "from perturbench_lamin.lineage.completeness import missing\nprint('MISSING', missing())"
    variables = {"LAMIN_SETTINGS_DIR": str(kept / "settings"), "LAMIN_CACHE_DIR": str(kept / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **variables, "LAMIN_CURRENT_INSTANCE": slug}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = done.stdout.split("MISSING ")[1].strip()
    return [] if told == "[]" else [told]
