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

    citation = "Norman et al., Science, 2019: A title, with a comma. doi:10.1/2"
    told = {"origin_url": "https://example.org/raw", "licence": "CC-BY-4.0", "citation": citation, "sha256": "ab" * 32}
    features.save_features()
    features.annotate(chain["raw"], told)
    lines = describe(ancestry(chain["checkpoint"])).splitlines()
    for word, value in zip(("origin", "licence", "citation", "sha256"), told.values(), strict=True):
        assert [line.split(maxsplit=1) for line in lines if value in line] == [[word, value]]
    assert sum(chain["raw"].key in line for line in lines) == 2, "made and read"


def test_the_figure_shows_every_node(chain, tmp_path):
    from perturbench_lamin.lineage.figure import draw
    from perturbench_lamin.lineage.graph import ancestry

    path = draw(ancestry(chain["checkpoint"]), tmp_path / "lineage.svg")
    assert path.read_text().startswith("<?xml")
    assert draw(ancestry(chain["raw"]), tmp_path / "raw.png").stat().st_size > 1000


def test_what_was_altered_is_named_and_how_the_code_is_kept(chain, lamin):
    from perturbench_lamin.lineage import runs
    from perturbench_lamin.lineage.graph import ancestry, describe, troubles

    assert troubles(ancestry(chain["checkpoint"])) == []
    chain["split"].path.write_text("forged")
    chain["raw"].path.unlink()
    runs.note_code(chain["checkpoint"].run, {"commit": "abc", "clean": False, "source": "uid", "moved": False})
    graph = ancestry(chain["checkpoint"])
    raw, split = chain["raw"], chain["split"]
    assert sorted(troubles(graph)) == [
        f"{raw.key} ({raw.uid}) is gone",
        f"{split.key} ({split.uid}) was altered since it was registered",
    ]
    text = describe(graph)
    assert "ALTERED since it was registered" in next(line for line in text.splitlines() if split.key in line)
    assert "code        commit abc, with changes, copy uid" in text
    assert "code        not recorded" in text


def test_a_dataset_is_labelled_without_reading_the_others(chain, monkeypatch):
    """A step depends on its own dataset alone: one that reads all of them would run again each time."""
    import sys

    from perturbench_lamin.lineage.project import label

    others = [name for name in sys.modules if name.startswith("perturbench_lamin.catalog.")]
    for name in others:
        if name.rpartition(".")[2] in {"srivatsan20", "frangieh21", "mcfaline24", "jiang25", "szalata24"}:
            monkeypatch.delitem(sys.modules, name)
    label(chain["raw"], "norman19")
    assert "perturbench_lamin.catalog.jiang25" not in sys.modules
    described = chain["raw"].ulabels.get(name="norman19").description
    assert described.startswith("Norman et al., Science, 2019: Exploring genetic interaction")
