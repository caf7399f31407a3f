from __future__ import annotations

import pytest


@pytest.fixture
def chain(lamin, tmp_path):
    """raw → curate → (curated, split) → train → checkpoint; the checkpoint's artifact."""
    from perturbench_lamin.lineage import artifacts

    def step(key, reads, makes):
        transform = lamin.Transform(key=key, kind="pipeline").save()
        lamin.context._run = lamin.Run(transform, status="started", params={"step": key}).save()
        for uid in reads:
            artifacts.load(uid)
        made = []
        for name in makes:
            path = tmp_path / name.replace("/", "-")
            path.write_text(f"{tmp_path} {name}")
            made.append(artifacts.save(path, f"graph/{name}", f"What {key} makes"))
        return made

    (raw,) = step("graph-ingest.ipynb", [], ["raw.txt"])
    curated, split = step("graph-curate.ipynb", [raw.uid], ["curated.txt", "split.csv"])
    (other,) = step("graph-other.ipynb", [curated.uid], ["other.txt"])
    (checkpoint,) = step("graph-train.ipynb", [curated.uid, split.uid], ["best.ckpt"])
    yield {"raw": raw, "curated": curated, "split": split, "other": other, "checkpoint": checkpoint}
    lamin.context._run = None


def test_the_ancestry_goes_back_to_the_raw_file_and_nowhere_else(chain):
    from perturbench_lamin.lineage.graph import ancestry

    graph = ancestry(chain["checkpoint"])
    assert [run.transform for run in graph.runs.values()] == [
        "graph-ingest.ipynb",
        "graph-curate.ipynb",
        "graph-train.ipynb",
    ]
    assert set(graph.artifacts) == {chain[name].uid for name in ("raw", "curated", "split", "checkpoint")}
    train = list(graph.runs.values())[-1]
    assert set(train.inputs) == {chain["curated"].uid, chain["split"].uid}
    assert train.outputs == (chain["checkpoint"].uid,)
    assert train.params == {"step": "graph-train.ipynb"}


def test_the_text_names_every_run_and_artifact(chain):
    from perturbench_lamin.lineage.graph import ancestry, describe

    text = describe(ancestry(chain["checkpoint"]))
    for name in ("raw", "curated", "split", "checkpoint"):
        assert chain[name].key in text
    assert "other" not in text
    assert text.index("graph-ingest.ipynb") < text.index("graph-curate.ipynb") < text.index("graph-train.ipynb")


def test_the_text_tells_origin_licence_and_checksum_of_raw_files(chain):
    from perturbench_lamin.lineage import features
    from perturbench_lamin.lineage.graph import ancestry, describe

    told = {"origin_url": "https://example.org/raw", "licence": "CC-BY-4.0", "sha256": "ab" * 32}
    features.save_features()
    features.annotate(chain["raw"], told)
    lines = describe(ancestry(chain["checkpoint"])).splitlines()
    for word, value in zip(("origin", "licence", "sha256"), told.values(), strict=True):
        assert [line.split() for line in lines if value in line] == [[word, value]]
    assert sum(chain["raw"].key in line for line in lines) == 2, "made and read"


def test_the_figure_shows_every_node(chain, tmp_path):
    from perturbench_lamin.lineage.figure import draw
    from perturbench_lamin.lineage.graph import ancestry

    path = draw(ancestry(chain["checkpoint"]), tmp_path / "lineage.svg")
    assert path.read_text().startswith("<?xml")
    assert draw(ancestry(chain["raw"]), tmp_path / "raw.png").stat().st_size > 1000
