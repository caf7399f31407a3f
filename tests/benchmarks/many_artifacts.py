"""An instance with very many artifacts, registered in bulk: what saving them one by one would make, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODELS, TASKS = 10, 3
REPORT = """<html><body class="jp-Notebook"><main>{cells}</main></body></html>"""
CELL = """<div class="jp-Cell jp-CodeCell"><div class="jp-InputArea"><div class="highlight">
<pre><span class="kn">import</span>
<span class="nn">numpy</span> <span class="o">=</span> <span class="mi">{number}</span></pre></div></div>
<div class="jp-OutputArea"><img src="data:image/png;base64,{picture}">
<table class="dataframe"><tr><td>{number}</td></tr></table></div></div>"""
BOARD = "dataset,task,split,profile,metric,model,mean,sd,n_seeds,n_values,n_nan,place\n" + "\n".join(
    f"d,t,test,perturbench,{metric},model{i},{0.1 * i + 0.05},0.01,2,20,0,{i + 1}"
    for metric in ("cosine_logfc", "rmse_average", "cosine_logfc_rank", "rmse_average_rank")
    for i in range(MODELS)
)  # fmt: skip
METRICS = "condition,metric,value\n" + "\n".join(f"A+B{i},rmse_average,0.{i}" for i in range(100))


def register(lamin: Any, n_artifacts: int) -> None:
    """Fill the connected instance: datasets, splits, and per training a checkpoint, a prediction and metrics."""
    _Rows(lamin, n_artifacts).write()


class _Rows:
    """Rows of the tables, made from one row each that LaminDB itself wrote."""

    def __init__(self, lamin: Any, n_artifacts: int) -> None:
        self.lamin, self.n_artifacts = lamin, n_artifacts
        self.root = Path(str(lamin.settings.storage.root)) / ".lamindb"
        self.root.mkdir(exist_ok=True)
        transform = lamin.Transform(
            key="training/many.ipynb", kind="notebook", source_code="# %%\nx = 1\n" * 200
        ).save()
        seed = self.root.parent / "seed.csv"
        seed.write_text("a,b\n")
        run = lamin.Run(transform, status="started").save()
        artifact = lamin.Artifact(seed, key="seed.csv", description="x", run=run).save()
        self.artifact, self.run = self._row("lamindb_artifact", artifact.id), self._row("lamindb_run", run.id)
        self.artifacts: list[dict] = []
        self.runs: list[dict] = []
        self.inputs: list[tuple[int, int]] = []

    def write(self) -> None:
        """Make the rows and insert them."""
        pair = 0
        while len(self._data()) < self.n_artifacts:
            self._task(pair)
            pair += 1
        self._insert("lamindb_run", self.runs)
        self._insert("lamindb_artifact", self.artifacts)
        for row in self.runs:
            row["report_id"] = row.pop("_report")
        self._execute(
            "UPDATE lamindb_run SET report_id = %s WHERE id = %s", [(r["report_id"], r["id"]) for r in self.runs]
        )
        links = [(100 + i, artifact, run) for i, (artifact, run) in enumerate(self.inputs)]
        self._execute("INSERT INTO lamindb_artifact_input_of_runs (id, artifact_id, run_id) VALUES (%s, %s, %s)", links)

    def _data(self) -> list[dict]:
        return [row for row in self.artifacts if row["key"]]

    def _task(self, number: int) -> None:
        name = f"dataset{number // TASKS}"
        ingest = self._run({"dataset": name})
        raw = self._file(f"raw/{name}/file{number}.h5ad", "x" * 50, ingest)
        curate = self._run({"raw": "x"}, raw)
        curated = self._file(f"curated/{name}-{number}.h5ad", "x" * 60, curate)
        split = self._file(f"splits/{name}/task{number}.csv", "cell,train\n" * 500, curate)
        tables = []
        for model in range(MODELS):
            for seed in (1, 2):
                about = f"{name}/task{number}/model{model}/seed{seed}"
                train = self._run({"model": f"model{model}", "seed": seed}, curated, split)
                checkpoint = self._file(f"models/{about}/best.ckpt", about, train, kind="model")
                score = self._run({"model": f"model{model}", "seed": seed}, checkpoint, curated, split)
                self._file(f"predictions/{about}.h5ad", about, score)
                tables.append(self._file(f"metrics/{about}.csv", METRICS, score))
        board = self._run({}, *tables)
        self._file(f"leaderboards/{name}/task{number}.csv", BOARD, board)

    def _run(self, params: dict, *inputs: int) -> int:
        import json

        number = 100 + len(self.runs)
        report = self._file("", REPORT.format(cells=_cells(number)), None, kind="__lamindb_run__", suffix=".html")
        row = {**self.run, "id": number, "uid": f"run{number:013d}", "params": json.dumps(params), "_status_code": 0}
        self.runs.append({**row, "finished_at": row["started_at"], "_report": report})
        self.inputs += [(one, number) for one in inputs]
        return number

    def _file(self, key: str, text: str, run: int | None, kind: str = "dataset", suffix: str = "") -> int:
        from lamindb_setup.core.hashing import hash_file

        number = 100 + len(self.artifacts)
        suffix = suffix or Path(key).suffix
        uid = f"file{number:012d}0000"
        path = self.root / f"{uid}{suffix}"
        path.write_text(text)
        size, digest, hash_type = hash_file(path)
        facts = {
            "key": key or None,
            "suffix": suffix,
            "kind": kind,
            "size": size,
            "hash": digest,
            "_hash_type": hash_type,
        }
        where = {"_real_key": None, "_key_is_virtual": True, "description": f"File {number}, made to be many"}
        self.artifacts.append({**self.artifact, **facts, **where, "id": number, "uid": uid, "run_id": run})
        return number

    def _row(self, table: str, number: int) -> dict:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{table}" WHERE id = %s', [number])
            names = [column[0] for column in cursor.description]
            return dict(zip(names, cursor.fetchone(), strict=True))

    def _insert(self, table: str, rows: list[dict]) -> None:
        names = [name for name in rows[0] if name != "_report"]
        places = ", ".join(["%s"] * len(names))
        columns = ", ".join(f'"{name}"' for name in names)
        self._execute(
            f'INSERT INTO "{table}" ({columns}) VALUES ({places})', [[row[name] for name in names] for row in rows]
        )

    def _execute(self, statement: str, rows: list) -> None:
        from django.db import connection, transaction

        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(statement, rows)


def _cells(number: int) -> str:
    return "\n".join(CELL.format(number=number + i, picture="iVBORw0KGgoA" * 300) for i in range(20))
