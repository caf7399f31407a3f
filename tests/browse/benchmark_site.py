"""The site of a benchmark of several models and seeds, of a failed chain, and of a split that the catalog has not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tiny_site import _Maker

from perturbench_lamin.browse.snapshot import Label, Snapshot, Value
from perturbench_lamin.evaluation import report_page

ERROR_PAGE = """<html><body><pre>Traceback (most recent call last)
<span class="ansi-red-fg">ValueError</span>: earlier
<span class="ansi-red-fg">InputError</span>: No column &#39;dose&#39; [obs]
  Did you mean Dose?</pre></body></html>"""
BOARD = "dataset,task,split,profile,metric,model,mean,sd,n_seeds,n_values,n_nan,place\n"


def about(**values) -> list[Value]:
    return [Value(name, "", value) for name, value in values.items()]


def wide_report() -> str:
    """A report's page with a table far wider than a window."""
    names = [f"a_model_with_a_long_name_{k}" for k in range(30)]
    table = report_page.table(["metric", *names], [[("rmse", ""), *((f"0.12{k}\n[0.1, 0.2]", "") for k in range(30))]])
    return report_page.page("Evaluation", ["<p>Text</p>", report_page.section("Scores", table)])


def benchmark_snapshot(folder: Path, models: int = 5, seeds: int = 2) -> tuple[Snapshot, dict[str, str]]:
    """The instance, and the uids of some of its records."""
    make, uids = _Maker(folder), {}
    raw = [make.artifact(f"raw/norman19/part{k}.mtx.gz", "x", values=about(dataset="norman19")) for k in range(3)]
    labels = (Label("", "ULabel", "combo", ""), Label("cell_line", "CellLine", "K-562", ""))
    curated = make.artifact("curated/norman19.h5ad", "c", values=about(dataset="norman19"), labels=labels)
    splits = [
        make.artifact(
            f"splits/norman19/{task}.csv", "a,train\n", values=about(task=task, split_seed=7, dataset="norman19")
        )
        for task in ("combine", "mine")
    ]
    make.run("ingest", "notebook", [], raw)
    make.run("curate", "notebook", raw, [curated, *splits], params={"split_seed": 7, "max_heldout_fraction": 0.6})
    tables = []
    for model in (f"model_{k}" for k in range(models)):
        for seed in range(1, seeds + 1):
            known = about(model=model, task="combine", seed=seed, dataset="norman19")
            end = f"norman19/combine/{model}/seed{seed}"
            checkpoint = make.artifact(f"models/{end}/r/best.ckpt", "w", kind="model", values=known)
            make.run("train", "notebook", [curated, splits[0]], [checkpoint], params={"model": model, "seed": seed})
            metrics = make.artifact(f"metrics/{end}.csv", "metric,value\nrmse,1\n", values=known)
            make.run("evaluate", "notebook", [checkpoint, curated, splits[0]], [metrics])
            tables.append(metrics)
    uids["board"] = make.artifact("leaderboards/norman19/combine.csv", BOARD)
    make.run("leaderboard", "notebook", tables, [uids["board"]])
    uids["report"] = make.artifact("reports/norman19/combine.html", wide_report(), values=about(dataset="norman19"))
    page = make.artifact("", ERROR_PAGE, uid="reportreport00000000", kind="__lamindb_run__", suffix=".html")
    make.run("train", "notebook", [curated], [], status="errored", report=page, params={"model": "cpa", "seed": 3})
    make.run("evaluate", "notebook", [curated], [], status="errored")
    make.run("chain", "pipeline", [], [], status="errored")
    first, second, chain = list(make.runs)[-3:]
    make.runs |= {
        first: replace(make.runs[first], parent=chain),
        second: replace(make.runs[second], parent=chain, problem="MemoryError: no memory left"),
        chain: replace(make.runs[chain], name="norman19 combine"),
    }
    return make.snapshot(), uids | {"failed": first, "told": second, "chain": chain, "curated": curated}
