"""A small chain is recorded, then made again from its lineage alone."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import recorded_steps
from click.testing import CliRunner

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def recorded(lamin, tmp_path_factory):
    """The runs of a recorded chain, by name; the notebooks and raw files it was made from are gone."""
    return recorded_steps.record_all(lamin, tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def reproduce(lamin):
    """Call the verb: its exit code, what it printed, its error."""
    from perturbench_lamin.cli.main import cli

    def call(*arguments):
        slug = lamin.setup.settings.instance.slug
        done = CliRunner().invoke(cli, ["reproduce", *map(str, arguments), "--instance", slug])
        return done.exit_code, done.output, str(done.exception)

    return call


def test_a_chain_from_the_lineage_alone(recorded, reproduce, lamin, tmp_path):
    keep, out = tmp_path / "kept", tmp_path / "table.csv"
    runs_before = lamin.Run.filter().count()
    code, said, error = reproduce("metrics/tiny/seed3.csv", "--keep", keep, "--out", out)
    assert code == 0, said + error
    assert "tables/tiny/names.csv" in said.split("Taken as recorded:")[1]
    assert "made by a pipeline (a-pipeline), not by a notebook" in said
    assert "Reproduced: all 3 steps" in said
    assert "anndata  0.0.1 → " in said
    assert "old-package  3 → not installed" in said
    table = pd.read_csv(out)
    assert list(table["step"]) == ["ingest", "curate", "fit seed 3"]
    assert set(table["outcome"]) == {"identical"}
    assert list(table["outputs"]) == [1, 2, 2]
    assert (table[["seconds_then", "seconds_now"]] > 0).all(axis=None)
    assert lamin.Run.filter().count() == runs_before, "the recorded instance is left as it was"
    assert recorded_steps.missing(keep) == [], "every page of the instance that the notebooks wrote is full"


def test_the_recorded_notebook_is_whole(recorded, lamin):
    from perturbench_lamin.reproduction import source

    transform = recorded["curate"].transform
    book = source.notebook(transform.source_code, transform.description)
    sources = [cell["source"] for cell in book["cells"]]
    assert sources[0] == "# The notebook curate\n\nIt does little."
    assert sources[3].startswith("%matplotlib inline\nfrom pathlib")
    assert source.declared(book) == ("raw", "limit", "raw_folder", "work_folder")
    assert source.tracked(book) == ("raw", "limit")
    assert source.parameters(book, {"raw": ["a"]}, {"a": "b"}) == {"raw": ["b"], "limit": None}


def test_what_differs_or_fails_is_told_with_its_reason(recorded, reproduce, tmp_path):
    out = tmp_path / "table.csv"
    code, said, error = reproduce("leaderboards/tiny.csv", "--from", "curated", "--out", out)
    assert code == 1
    assert "3 of 3 steps were not reproduced: vary is different" in error
    table = pd.read_csv(out).set_index("step")
    assert dict(table["outcome"]) == {"vary": "different", "break": "failed", "rank": "skipped"}
    assert "outside.txt, a file outside the lineage" in said
    assert table.loc["vary", "detail"] == "metrics/tiny/varied.csv: different, column 1"
    assert table.loc["break", "detail"].startswith("ValueError: told to fail")
    assert "the recorded run did not complete: it is errored" in table.loc["break", "detail"]
    assert table.loc["rank", "detail"] == "needs break"


def test_a_dry_run_shows_the_plan_and_runs_nothing(recorded, reproduce, lamin):
    code, said, _ = reproduce("leaderboards/tiny.csv", "--dry-run")
    assert code == 0
    places = [said.index(f"small/{name}.ipynb") for name in ("ingest", "curate", "vary", "break", "rank")]
    assert places == sorted(places)
    assert "fit" not in said
    assert "the recorded run did not complete: it is errored" in said


def test_an_unknown_key_names_the_nearest_and_a_run_its_outputs(recorded, reproduce):
    code, _, error = reproduce("leaderboards/tny.csv", "--dry-run")
    assert code == 1
    assert "leaderboards/tiny.csv" in error
    _, _, error = reproduce(recorded["rank"].uid, "--dry-run")
    assert "is a run, not an artifact" in error
    assert "leaderboards/tiny.csv" in error


def test_code_that_was_not_recorded_cannot_be_run(recorded, reproduce):
    code, said, error = reproduce("curated/tiny.h5ad", "--code", "recorded")
    assert code == 1
    assert "The code of ingest, curate was not recorded" in error
    assert "[ 1/" not in said, "nothing is executed"


def test_a_commit_that_is_not_here_is_named(recorded, reproduce, lamin):
    from perturbench_lamin.lineage import runs

    run = lamin.Run.get(recorded["curate"].uid)
    runs.note_code(run, {"commit": "0" * 40, "clean": True, "modules": {"perturbench_lamin.errors": "0" * 16}})
    try:
        code, said, error = reproduce("curated/tiny.h5ad", "--from", "raw", "--code", "recorded")
        assert code == 1
        assert f"commit {'0' * 40}, which is not here" in error
        assert "git fetch" in error
        assert f"runs the recorded code, of commit {'0' * 12}" in said
        _, said, _ = reproduce("curated/tiny.h5ad", "--from", "raw", "--dry-run")
        assert "today's code is not the record's: perturbench_lamin.errors" in said
    finally:
        run.extra_data = None
        run.save()


def test_the_gene_table_is_taken_as_recorded_where_raw_files_are(recorded, lamin, tmp_path):
    """Its ingestion may need the network; from the start, the file that was given is an input like any other."""
    from perturbench_lamin.lineage import artifacts, gene_tables
    from perturbench_lamin.reproduction.trace import find, trace

    (tmp_path / "mine.csv").write_text("ENSG1,A,1,2,x\n")
    given = gene_tables.gene_source(str(tmp_path / "mine.csv"))
    read = "Path('copied.csv').write_text(artifacts.load({}).read_text())"
    copied = read + "\nartifacts.save('copied.csv', '{}', 'Genes')"
    genes = copied.format("gene_file", "genes/tiny.csv")
    recorded_steps.record(lamin, tmp_path, "genes", "recordedst08", {"gene_file": given.uid}, genes)
    use = copied.format("'genes/tiny.csv'", "curated/by_genes.csv")
    recorded_steps.record(lamin, tmp_path, "use", "recordedst09", {}, use)
    plan = trace(find("curated/by_genes.csv"), "raw")
    assert [step.name for step in plan.steps] == ["use"]
    assert [one.file.uid for one in plan.given] == [artifacts.get("genes/tiny.csv").uid]
    plan = trace(find("curated/by_genes.csv"))
    assert [step.name for step in plan.steps] == ["genes", "use"]
    assert [one.file.uid for one in plan.given] == [given.uid]


def test_a_folder_in_use_is_not_kept_to(recorded, reproduce, tmp_path):
    (tmp_path / "something").touch()
    code, _, error = reproduce("curated/tiny.h5ad", "--keep", tmp_path)
    assert code == 1
    assert "is not empty" in error


@pytest.mark.parametrize("how", ["altered", "gone"])
def test_an_input_that_is_not_what_was_registered_is_shown_and_never_used(recorded, reproduce, lamin, how):
    path = lamin.Artifact.get(key="raw/tiny/numbers.csv").path
    untouched = path.read_bytes()
    if how == "altered":
        path.write_text("a,b\n9,9\n")
    else:
        path.unlink()
    try:
        for start in ((), ("--from", "raw")):
            code, said, _ = reproduce("curated/tiny.h5ad", "--dry-run", *start)
            assert code == 0
            assert how in said.lower()
            code, said, error = reproduce("curated/tiny.h5ad", *start)
            assert code == 1
            assert {"altered": "was altered since", "gone": "is gone"}[how] in error
            assert "[ 1/" not in said, "nothing is executed"
    finally:
        path.write_bytes(untouched)


def test_an_output_that_is_gone_is_compared_by_its_hash(recorded, lamin, tmp_path):
    from perturbench_lamin.reproduction.outcome import MadeFile, Outcomes, StepOutcome
    from perturbench_lamin.reproduction.result import results
    from perturbench_lamin.reproduction.trace import find, trace

    artifact = find("metrics/tiny/seed3.csv")
    content = artifact.path.read_bytes()
    artifact.path.unlink()
    try:
        plan = trace(artifact, "curated")
    finally:
        artifact.path.write_bytes(content)
    now = tmp_path / "now.csv"
    made = {file.uid: MadeFile("uid", "", str(now)) for file in plan.steps[0].outputs if file.uid == artifact.uid}
    outcomes = Outcomes({}, (StepOutcome(recorded["fit"].uid, "done", outputs=made),))

    def state():
        return {file.key: file.state for file in results(plan, outcomes)[0].files}["metrics/tiny/seed3.csv"]

    now.write_bytes(content)
    assert state() == "identical"
    now.write_bytes(content + b"more,1\n")
    assert state() == "lost"


def test_a_made_again_artifact_is_traced_to_the_run_that_can_be_repeated(recorded, lamin, tmp_path):
    """First made by a pipeline, then with the same content by a notebook: the notebook is executed."""
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.reproduction.trace import find, trace

    path = tmp_path / "again.txt"
    path.write_text("made twice")
    with recorded_steps.pipeline_run(lamin):
        first = artifacts.save(path, "tiny/again.txt", "Made twice")
    code = 'Path("again.txt").write_text("made twice")\nartifacts.save("again.txt", "tiny/again.txt", "Made twice")'
    run = recorded_steps.record(lamin, tmp_path, "again", "recordedst07", {}, code)
    plan = trace(find(first.uid))
    assert [step.run for step in plan.steps] == [run.uid]
    assert [file.uid for file in plan.steps[0].outputs] == [first.uid]


def test_what_no_notebook_made_is_refused_with_the_reason(recorded, lamin):
    from perturbench_lamin.errors import InputError
    from perturbench_lamin.reproduction.trace import find, trace

    with pytest.raises(InputError, match=r"Nothing to reproduce.*made by a pipeline \(a-pipeline\)"):
        trace(find("tables/tiny/names.csv"))
    with pytest.raises(InputError, match="--from curated"):
        trace(find("curated/tiny.h5ad"), "curated")


def test_a_source_that_is_not_what_ran_is_not_executed(recorded, lamin):
    from perturbench_lamin.reproduction.trace import find, trace

    transform = recorded["ingest"].transform
    whole = transform.source_code
    transform.source_code = whole.replace("artifacts.save", "artifacts.safe")
    transform.save()
    try:
        plan = trace(find("curated/tiny.h5ad"))
        assert [step.name for step in plan.steps] == ["curate"]
        assert "is not what ran" in {one.file.key: one.why for one in plan.given}["raw/tiny/numbers.csv"]
    finally:
        transform.source_code = whole
        transform.save()


def test_a_plan_survives_its_file(recorded, lamin):
    from perturbench_lamin.reproduction.plan import Plan
    from perturbench_lamin.reproduction.trace import find, trace

    plan = trace(find("leaderboards/tiny.csv"))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
