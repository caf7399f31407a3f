from __future__ import annotations

import pytest

from perturbench_lamin.errors import InputError, IntegrityError


@pytest.fixture
def artifacts(lamin):
    from perturbench_lamin.lineage import artifacts

    return artifacts


def write(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_nothing_is_no_name_of_an_artifact_and_a_beginning_names_one(artifacts, tmp_path):
    made = [artifacts.save(write(tmp_path, f"text {name}"), f"begins/{name}.csv", "A text") for name in "ab"]
    with pytest.raises(InputError, match="No artifact is named"):
        artifacts.get("")
    assert artifacts.get(made[0].uid[:16]).uid == artifacts.get(made[0].uid[:12]).uid == made[0].uid
    assert artifacts.get("begins/b.csv").uid == made[1].uid
    made[1].uid = made[0].uid[:10] + "-" + made[1].uid[11:]
    made[1].save()
    with pytest.raises(InputError, match="2 artifacts have a uid that begins with"):
        artifacts.get(made[0].uid[:10])
    assert artifacts.get(made[1].uid).key == "begins/b.csv"


def test_new_content_is_a_new_version_and_old_content_the_old_artifact(artifacts, run, tmp_path):
    first = artifacts.save(write(tmp_path, "a,1\n"), "test/versions.csv", "A table")
    second = artifacts.save(write(tmp_path, "a,2\n"), "test/versions.csv", "A table")
    again = artifacts.save(write(tmp_path, "a,1\n"), "test/versions.csv", "A table")
    assert first.uid != second.uid
    assert first.stem_uid == second.stem_uid
    assert again.uid == first.uid
    assert artifacts.get("test/versions.csv").uid == second.uid


def test_the_same_bytes_under_two_keys_are_two_artifacts(artifacts, run, tmp_path):
    path = write(tmp_path, "same,bytes\n")
    one = artifacts.save(path, "test/one.csv", "One")
    other = artifacts.save(path, "test/other.csv", "Other")
    assert (one.key, other.key) == ("test/one.csv", "test/other.csv")
    assert one.uid != other.uid


def test_a_run_that_makes_the_same_again_is_recorded_as_recreating(artifacts, run, lamin, tmp_path):
    from perturbench_lamin.lineage import runs

    path = write(tmp_path, "made,twice\n")
    made = artifacts.save(path, "test/twice.csv", "Twice")
    later = lamin.Run(run.transform, status="started").save()
    lamin.context._run = later
    artifacts.save(path, "test/twice.csv", "Twice")
    assert list(runs.outputs(later)) == ["test/twice.csv"]
    assert made.run.uid == run.uid
    assert [found.uid for found in made.recreating_runs.all()] == [later.uid]


def test_load_records_an_input(artifacts, run, lamin, tmp_path):
    made = artifacts.save(write(tmp_path, "in,put\n"), "test/input.csv", "Input")
    reader = lamin.Run(run.transform, status="started").save()
    lamin.context._run = reader
    path = artifacts.load("test/input.csv")
    assert path.read_text() == "in,put\n"
    assert [found.uid for found in reader.input_artifacts.all()] == [made.uid]


def test_features_are_attached_and_can_be_queried(artifacts, run, lamin, tmp_path):
    features = {"dataset": "norman19", "n_cells": 7, "simulated": True, "my_metric": 0.25, "licence": None}
    made = artifacts.save(write(tmp_path, "fea,tures\n"), "test/features.csv", "Features", features=features)
    assert made.features.get_values() == {"dataset": "norman19", "n_cells": 7, "simulated": True, "my_metric": 0.25}
    assert lamin.Artifact.filter(n_cells=7).one().uid == made.uid


def test_a_pattern_finds_the_latest_of_any_run(artifacts, run, tmp_path):
    artifacts.save(write(tmp_path, "1", "best.ckpt"), "test/models/run1/best.ckpt", "First", kind="model")
    second = artifacts.save(write(tmp_path, "2", "best.ckpt"), "test/models/run2/best.ckpt", "Second", kind="model")
    assert artifacts.get("test/models/*/best.ckpt").uid == second.uid
    with pytest.raises(InputError):
        artifacts.get("test/*/best.ckpt")


def test_an_unknown_key_names_the_nearest(artifacts, run, tmp_path):
    artifacts.save(write(tmp_path, "near"), "test/nearest.csv", "Near")
    with pytest.raises(InputError, match=r"Did you mean .*test/nearest\.csv"):
        artifacts.get("test/nearst.csv")


def test_an_altered_or_missing_file_is_never_used(artifacts, run, tmp_path):
    made = artifacts.save(write(tmp_path, "untouched\n"), "test/altered.csv", "Altered")
    stored = made.path
    stored.write_text("tampered!\n")
    with pytest.raises(IntegrityError, match="altered since"):
        artifacts.load("test/altered.csv")
    stored.unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        artifacts.load(made.uid)


def test_a_lost_file_can_be_registered_again(artifacts, run, tmp_path):
    path = write(tmp_path, "lost and found\n")
    lost = artifacts.save(path, "test/lost.csv", "Lost")
    lost.path.unlink()
    found = artifacts.save(path, "test/lost.csv", "Lost")
    assert artifacts.load(found.uid).read_text() == "lost and found\n"


def test_what_a_run_makes_again_is_not_its_input(artifacts, run, lamin, tmp_path):
    path = write(tmp_path, "not an input\n")
    artifacts.save(path, "test/no-input.csv", "Not an input")
    lamin.context._run = lamin.Run(run.transform, status="started").save()
    artifacts.save(path, "test/no-input.csv", "Not an input")
    assert lamin.context.run.input_artifacts.count() == 0


WORDS = (b"one", b"two", b"six")


def large(path, middle: bytes):
    """A file of which LaminDB's hash does not see the middle."""
    with path.open("wb") as stream:
        stream.truncate(110 << 20)
        stream.seek(55 << 20)
        stream.write(middle)
    return path


def test_large_files_that_differ_in_the_middle_alone_are_versions(artifacts, run, tmp_path):
    """LaminDB's hash is the same, and it allows a key with a hash once."""
    saved = [
        artifacts.save(large(tmp_path / "m.bin", word), "test/middle.bin", "M") for word in (b"one", b"two", b"six")
    ]
    assert len({one.uid for one in saved}) == 3
    assert len({one.stem_uid for one in saved}) == 1
    for artifact, word in zip(saved, WORDS, strict=True):
        again = artifacts.save(large(tmp_path / "m.bin", word), "test/middle.bin", "M")
        assert again.uid == artifact.uid
        with artifacts.load(artifact.uid).open("rb") as stream:
            stream.seek(55 << 20)
            assert stream.read(3) == word
    with saved[1].path.open("r+b") as stream:
        stream.seek(55 << 20)
        stream.write(b"bad")
    with pytest.raises(IntegrityError, match="altered since"):
        artifacts.load(saved[1].uid)
    assert artifacts.save(large(tmp_path / "m.bin", b"two"), "test/middle.bin", "M").uid == saved[1].uid
    assert artifacts.load(saved[1].uid).stat().st_size == 110 << 20, "it is put back"


def test_a_large_file_registered_without_its_sha256_is_told_by_its_content(artifacts, run, lamin, tmp_path):
    path = large(tmp_path / "old.bin", b"old")
    old = lamin.Artifact(path, key="test/old.bin", run=run, skip_hash_lookup=True).save()
    assert artifacts.save(path, "test/old.bin", "Old").uid == old.uid
    assert artifacts.save(large(tmp_path / "old.bin", b"new"), "test/old.bin", "New").uid != old.uid


def test_the_same_page_is_the_report_of_two_runs(artifacts, run, lamin, tmp_path):
    """LaminDB allows a file without a key once."""
    from perturbench_lamin.lineage import reports

    page = write(tmp_path, "<p>the same</p>", "page.html")
    other = lamin.Run(run.transform, status="started").save()
    reports.attach(run, page)
    reports.attach(other, page)
    assert run.report.uid == other.report.uid
    run.report.path.write_text("forged")
    reports.attach(other, page)
    assert run.report.path.read_text() == "<p>the same</p>"


def test_a_given_gene_table_is_an_input(artifacts, run, lamin, tmp_path):
    from perturbench_lamin.lineage import gene_tables

    path = write(tmp_path, "ENSG1,A,1,2,x\n", "mine.csv")
    first = gene_tables.gene_source(str(path))
    assert first.key == "genes/source/mine.csv"
    assert first.run.transform.key == "perturbench_lamin/given"
    assert first.run.status == "completed"
    assert gene_tables.gene_source(first.uid).uid == gene_tables.gene_source(str(path)).uid == first.uid
    assert gene_tables.gene_table(str(path)).read_text() == path.read_text()
    assert [one.uid for one in run.input_artifacts.all()] == [first.uid]
    assert gene_tables.gene_table("") is None


def test_a_large_file_is_hashed_whole(artifacts, run, tmp_path):
    """LaminDB's own hash leaves out the middle."""
    from perturbench_lamin.lineage.features import plain_values
    from perturbench_lamin.lineage.intact import trouble_of

    path = tmp_path / "large.bin"
    with path.open("wb") as stream:
        stream.truncate(110 << 20)
    made = artifacts.save(path, "test/large.bin", "Large")
    assert len(plain_values(made)["sha256"]) == 64
    assert trouble_of(made) == ""
    with made.path.open("r+b") as stream:
        stream.seek(55 << 20)
        stream.write(b"altered")
    assert trouble_of(made) == "altered"
    made.path.unlink()
    assert trouble_of(made) == "gone"
    small = artifacts.save(write(tmp_path, "small"), "test/small.csv", "Small")
    assert "sha256" not in plain_values(small)


def test_a_key_without_a_folder_is_found_too(lamin, run, tmp_path):
    from perturbench_lamin.lineage import artifacts

    (tmp_path / "plain.txt").write_text("a")
    saved = artifacts.save(tmp_path / "plain.txt", "plain.txt", "A file beside the folders")
    assert artifacts.get("plain.txt") == artifacts.get(saved.uid) == saved
