"""A small instance as plain records, with every kind of trouble in it, and hostile text wherever text can stand."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perturbench_lamin.browse.snapshot import (
    ArtifactRecord,
    Label,
    RunRecord,
    SchemaRecord,
    Snapshot,
    TransformRecord,
    Value,
)

START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CELLS = {"train": 700, "val": 100, "test": 200, "excluded": 0}
ATTACK = '"><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"></script>{{ 7 * 7 }}'
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc0000003010100"
        "18dd8db00000000049454e44ae426082"
    )
).decode()
REPORT = f"""<html><head><title>x</title><script>window.hacked = 3</script>
<style>body {{ display: none }}</style></head>
<body onload="window.hacked = 4"><main class="top">
<h1 id="content">A notebook</h1><script>window.hacked = 5</script>
<img src="x" onerror="window.hacked = 6"><img id="plot" alt="Plot" src="data:image/png;base64,{PIXEL}">
<a href="javascript:window.hacked = 7">a link</a><a href=" java&#10;script:window.hacked = 8">another</a>
<a href="data:text/html,<script>window.hacked = 9</script>">data</a>
<iframe srcdoc="<script>parent.hacked = 10</script>"></iframe><object data="x"></object><embed src="x">
<svg onload="window.hacked = 11"><script>window.hacked = 12</script><circle r="5"></circle></svg>
<math><mtext><style><img src=x onerror="window.hacked = 13"></style></mtext></math>
<form action="http://example.org"><input name="q"></form><base href="http://example.org/"><meta http-equiv="refresh"
content="0;url=http://example.org"><div style="position:fixed;inset:0" class="skip jp-Cell">out</div>
<table class="dataframe"><tr><td>42</td></tr></table></main></body></html>"""
BOARD = """dataset,task,split,profile,metric,model,mean,sd,n_seeds,n_values,n_nan,place
norman19,combine,test,perturbench,rmse_average,linear,0.1,0.01,2,20,0,1
norman19,combine,test,perturbench,rmse_average,additive,0.3,,1,10,0,2
norman19,combine,test,perturbench,rmse_average,broken,,,1,10,10,
"""


def tiny_snapshot(folder: Path) -> Snapshot:
    """Raw file, two versions of a curated file, split, checkpoint, metrics, leaderboard; failed and foreign runs."""
    make = _Maker(folder)
    raw = make.artifact(
        "raw/norman19/deposit.h5ad", "raw bytes", values=[Value("origin_url", "", "javascript:alert(1)")]
    )
    old = make.artifact("curated/norman19.h5ad", "old", uid="curatedcurated000000", is_latest=False)
    curated = make.artifact(
        "curated/norman19.h5ad", "new", uid="curatedcurated000001", description=ATTACK,
        schema=SchemaRecord(
            "curated", "AnnData", (("obs", "terms", "Feature", 1),), (("obs", "cell_line", "cat", ATTACK),)
        ),
        labels=(
            Label("cell_line", "CellLine", "K-562", "CVCL_0004"),
            Label("genetic", "GeneticPerturbation", "KLF1 CRISPRa", ""),
        ),
        values=[Value("n_cells", "Number of cells", 12_345), Value("perturbed_in", "", {"K-562": ["KLF1", ATTACK]}),
                Value("dataset", "", "norman19"), Value("simulated", "", True)],
    )  # fmt: skip
    split = make.artifact(
        "splits/norman19/combine.csv", "c1,train\n",
        values=[Value(f"{part}_cells", "", n) for part, n in CELLS.items()],
    )  # fmt: skip
    checkpoint = make.artifact(
        "models/norman19/combine/linear/seed1/r/best.ckpt", "weights", kind="model",
        values=[Value("model", "", "linear"), Value("seed", "", 1), Value("dataset", "", "norman19")],
    )  # fmt: skip
    metrics = make.artifact(
        "metrics/norman19/combine/linear/seed1.csv", "metric,value\nrmse,1\n",
        values=[Value("rmse_average", "Mean of the metric over all conditions of the test split", 0.125)],
    )  # fmt: skip
    board = make.artifact("leaderboards/norman19/combine.csv", BOARD)
    gone = make.artifact("raw/norman19/gone.csv", "1")
    altered = make.artifact("raw/norman19/altered.csv", "12")
    make.artifact(f"odd/{ATTACK}.txt", "text")
    report = make.artifact("", REPORT, uid="reportreport00000000", kind="__lamindb_run__", suffix=".html")
    make.path(gone).unlink()
    make.path(altered).write_text("21")  # the same size: only a hash tells
    make.run("ingest", "notebook", outputs=[raw])
    make.run(
        "curate",
        "notebook",
        [raw],
        [old],
        report=report,
        params={"raw": raw, "note": ATTACK, "optimizer": {"lr": 0.25}},
    )
    make.run("curate", "notebook", [raw], [curated, split])
    make.run("again", "notebook", [raw], [], recreated=[curated])
    make.run("train", "script", [curated, split], [checkpoint], params={"model": "linear", "seed": 1})
    make.run("evaluate", "notebook", [checkpoint], [metrics])
    make.run("board", "pipeline", [metrics, "deleted0000000000000"], [board], source="")
    make.run("broken", "notebook", [raw], [], status="errored", report=report)
    make.run("orphan", "", [], [], status="started", transform=False)
    return make.snapshot()


class _Maker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts: dict[str, ArtifactRecord] = {}
        self.runs: dict[str, RunRecord] = {}
        self.transforms: dict[str, TransformRecord] = {}

    def artifact(self, key: str, text: str, *, uid: str = "", suffix: str = "", kind: str = "dataset", **facts) -> str:
        from lamindb_setup.core.hashing import hash_file

        uid = uid or f"artifact{len(self.artifacts):08d}0000"
        suffix = suffix or Path(key).suffix
        path = self.folder / f"{uid}{suffix}"
        path.write_text(text)
        size, digest, hash_type = hash_file(path)
        values = tuple(facts.pop("values", ()))
        self.artifacts[uid] = ArtifactRecord(
            uid, key, kind=kind, suffix=suffix, size=size, digest=digest, hash_type=hash_type, path=path,
            location=str(path), created=START, values=values, **facts,
        )  # fmt: skip
        return uid

    def path(self, uid: str) -> Path:
        found = self.artifacts[uid].path
        assert found is not None
        return found

    def run(
        self, name, kind, inputs=(), outputs=(), *, recreated=(), status="completed", source="x = 1\n", transform=True,
        params=None, report="",
    ) -> None:  # fmt: skip
        number = len(self.runs)
        uid, code = f"run{number:013d}", f"code{name:0>8}0000"
        if transform:
            self.transforms[code] = TransformRecord(
                code, f"folder/{name}.ipynb", kind, source=source and source + ATTACK
            )
        self.runs[uid] = RunRecord(
            uid, code if transform else "", status=status, started=START, params=params or {}, report=report,
            finished=None if status == "started" else START + timedelta(seconds=90),
            inputs=tuple(inputs), outputs=tuple(outputs), recreated=tuple(recreated),
        )  # fmt: skip
        for made in outputs:
            self.artifacts[made] = ArtifactRecord(**{**vars(self.artifacts[made]), "run": uid})

    def snapshot(self) -> Snapshot:
        return Snapshot("owner/tiny", self.artifacts, self.runs, self.transforms)
