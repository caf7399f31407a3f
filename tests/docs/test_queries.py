"""The recipes of docs/queries.md, executed one after the other on a small instance."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture
def history(lamin, tmp_path):
    """Two curated files, a split, two trainings with their metrics, and a failed run: what the recipes must find."""
    import pertdb as pt

    from perturbench_lamin.lineage import artifacts, runs

    def begin(key, *inputs):
        transform = lamin.Transform(key=key, kind="pipeline").save()
        lamin.context._run = lamin.Run(transform, status="started").save()
        for one in inputs:
            artifacts.load(one.uid)
        return lamin.context._run

    def save(key, text, **features):
        path = tmp_path / Path(key).name
        path.write_text(f"docs {text}")
        return artifacts.save(path, key, f"{key} of the recipes", features={"dataset": "norman19", **features})

    begin("docs/ingest")
    save("raw/norman19/another.h5ad", "another")
    raw = save("raw/norman19/NormanWeissman2019_filtered.h5ad", "raw")
    curation = begin("docs/curate", raw)
    curated = save("curated/norman19.h5ad", "curated", simulated=True)
    older = save("splits/norman19/combine.csv", "older", task="combine")
    perturbation = pt.GeneticPerturbation(name="KLF1 of the recipes", type="CRISPRa").save()
    perturbation.targets.add(pt.PerturbationTarget(name="KLF1").save())
    curated.genetic_perturbations.add(perturbation)
    trained = {}
    for place, (seed, rmse, split_text) in enumerate([(1, 0.5, "older"), (2, 0.25, "newer"), (3, 0.75, "newer")]):
        begin(f"docs/split{place}", raw)
        split = save("splits/norman19/combine.csv", split_text, task="combine")
        begin("docs/train", curated, split)
        told = {"task": "combine", "model": "latent_additive", "seed": seed}
        checkpoint = save(f"models/norman19/combine/latent_additive/seed{seed}/best.ckpt", f"weights {seed}", **told)
        checkpoint.features.add_values({"is_best_model": True})
        begin("docs/evaluate", curated, split, checkpoint)
        table = save(f"metrics/norman19/combine/latent_additive/seed{seed}.csv", seed, rmse_average=rmse, **told)
        trained[seed] = (checkpoint, table)
    failed = begin("docs/failed", raw)
    runs.close(failed, runs.Status.ERRORED)
    begin("docs/again", split)
    table = save("metrics/norman19/combine/latent_additive/seed1.csv", 1)  # made again, from the newer split
    yield {
        "curation": curation,
        "failed": failed,
        "older": older,
        "split": split,
        "trained": trained,
        "curated": curated,
    }
    lamin.context._run = None


def test_every_recipe_runs_and_finds_what_it_says(history):
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/queries.md", "exec"), names)
    using = [run.transform.key for run in names["runs"]]
    assert using == ["docs/curate", "docs/split0", "docs/split1", "docs/split2", "docs/failed"]
    assert names["split"].uid == history["split"].uid != history["older"].uid
    trained = history["trained"]
    assert {table.uid for table in names["metrics"]} == {trained[seed][1].uid for seed in (1, 2, 3)}
    mine = names["ranked"][names["ranked"]["checkpoint"].isin([one.key for one, _ in trained.values()])]
    assert list(mine["rmse"]) == [0.25, 0.5, 0.75]
    assert list(mine["checkpoint"]) == [trained[seed][0].key for seed in (2, 1, 3)]
    for found in (names["files"], names["same"]):
        assert history["curated"].uid in {file.uid for file in found}
    assert history["failed"].uid in {run.uid for run in names["failed"]}
    assert history["curation"].uid not in {run.uid for run in names["failed"]}
    assert history["curated"].uid in {one.uid for one in names["simulated"]}
