"""A small chain is recorded, then made again from its lineage alone."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import recorded_chain

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with a recorded chain; the notebooks and raw files it was made from are gone."""
    root = tmp_path_factory.mktemp("recorded")
    (root / "raw" / "tiny").mkdir(parents=True)
    (root / "raw" / "tiny" / "numbers.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    recorded_chain.write_notebooks(root / "notebooks")
    said = recorded_chain.record(root)
    assert said.count("done") == 3, said
    shutil.rmtree(root / "notebooks")
    shutil.rmtree(root / "raw")
    return root


def test_the_whole_chain_from_the_lineage_alone(recorded, tmp_path):
    keep, out = tmp_path / "kept", tmp_path / "table.csv"
    code, said, err = recorded_chain.reproduce(
        recorded, "metrics/tiny/seed3.csv", "--keep", str(keep), "--out", str(out)
    )
    assert code == 0, said + err
    assert "Reproduced: all 3 steps" in said
    assert "no package changed" in said
    table = pd.read_csv(out)
    assert list(table["step"]) == ["ingest", "curate", "fit seed 3"]
    assert set(table["outcome"]) == {"identical"}
    assert list(table["outputs"]) == [1, 2, 2]
    assert (table[["seconds_then", "seconds_now"]] > 0).all(axis=None)
    recorded_source = json.loads(next(keep.glob("steps/02-curate/recorded/curate.ipynb")).read_text())
    sources = ["".join(cell["source"]) for cell in recorded_source["cells"]]
    assert sources[0].startswith("# The notebook curate")
    assert sources[3].startswith("%matplotlib inline")
    outcomes = json.loads((keep / "outcomes.json").read_text())
    assert all(step["python"] for step in outcomes["steps"])
    assert not list(recorded.glob("instance/**/instance-*")), "the recorded instance is left as it was"


def test_from_curated_on_a_changed_result_is_different_and_the_exit_code_says_so(recorded):
    """The recorded metrics are rewritten together with their hash, as if the environment had given others then."""
    code = (
        "(lambda a: [a.path.write_text('metric,value\\nsum,99.0\\n'), setattr(a, 'hash', "
        "__import__('lamindb_setup.core.hashing', fromlist=['x']).hash_file(a.path)[1]), a.save().uid])"
        "(ln.Artifact.get(key='metrics/tiny/seed3.csv'))"
    )
    recorded_chain.query(recorded, code)
    code, said, err = recorded_chain.reproduce(recorded, "metrics/tiny/seed3.csv", "--from", "curated")
    assert code == 1
    assert "curated/tiny.h5ad" in said.split("Taken as recorded:")[1]
    assert "metrics/tiny/seed3.csv: different, column 1" in said
    assert "1 of 1 steps were not reproduced: fit seed 3 is different" in err


def test_an_unknown_key_names_the_nearest(recorded):
    code, _, err = recorded_chain.reproduce(recorded, "metrics/tny/seed3.csv", "--dry-run")
    assert code == 1
    assert "metrics/tiny/seed3.csv" in err
    assert "Traceback" not in err
