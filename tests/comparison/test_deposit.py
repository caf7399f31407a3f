"""Deposited files: from a folder, from a hub, with the right and the wrong bytes."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
from comparison_files import random_cells

from perturbench_lamin.catalog.datasets import DATASETS
from perturbench_lamin.comparison.deposit import get_deposit
from perturbench_lamin.comparison.hub import fetch
from perturbench_lamin.comparison.published import published_file, published_files, published_splits
from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.download import DownloadError

NAME = "frangieh21_processed.h5ad.gz"
SPLIT = "frangieh21_split.csv"
LATER = "f" * 40


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a file of cells, packed."""
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    random_cells(np.random.default_rng(0)).write_h5ad(path)
    return gzip.compress(path.read_bytes(), mtime=0)


def test_the_table_is_that_of_the_reference(shared_file):
    rows = list(csv.DictReader(shared_file("reference/deposited_files.csv").read_text().splitlines()))
    wrong = "norman19_cpa_hvg_normalized_curated.h5ad"
    known = {file.name: file.sha256 for file in published_files()}
    assert known == {row["file"].replace(f"{wrong}.gz", wrong): row["sha256"] for row in rows}


def test_the_catalog_names_the_same_files():
    known = {file.name: (file.dataset, file.sha256) for file in published_files()}
    for dataset in DATASETS.values():
        for file in dataset.deposited:
            assert known[file.name] == (dataset.name, file.sha256)
        assert published_file(dataset.name).dataset == dataset.name


def test_a_dataset_has_several_files_of_cells():
    assert published_file("norman19").name == "norman19_processed.h5ad.gz"
    other = published_file("norman19", "norman19_cpa_hvg_normalized_curated.h5ad")
    assert [file.name for file in published_splits(other)] == ["norman19_cpa_hvg_normalized_splits.tar.gz"]
    with pytest.raises(InputError, match="Did you mean norman19_processed"):
        published_file("norman19", "norman19_procesed.h5ad.gz")


def test_a_changed_file_shows_both_checksums_and_how_to_accept_it(content, tmp_path):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(IntegrityError) as error:
        get_deposit("frangieh21", tmp_path / "work", folder=tmp_path)
    assert published_file("frangieh21").sha256 in str(error.value)
    assert f"--accept {NAME}={digest(content)}" in str(error.value)
    assert not (tmp_path / "work").exists()
    found = get_deposit("frangieh21", tmp_path / "work", folder=tmp_path, accepted={NAME: digest(content)})
    assert found.cells.read_bytes() == gzip.decompress(content)
    assert found.file.checked == "the accepted one"
    with pytest.raises(IntegrityError, match="accepted"):
        get_deposit("frangieh21", tmp_path / "work", folder=tmp_path, accepted={NAME: "0" * 64})


def test_the_published_bytes_are_taken(content, tmp_path, monkeypatch):
    from perturbench_lamin.comparison import deposit

    file = published_file("frangieh21")
    monkeypatch.setattr(
        deposit, "published_file", lambda *_: type(file)(NAME, "frangieh21", "cells", "", digest(content))
    )
    (tmp_path / "frangieh21").mkdir()
    (tmp_path / "frangieh21" / NAME).write_bytes(content)
    assert get_deposit("frangieh21", tmp_path / "work", folder=tmp_path).file.checked == "the published one"


def test_an_unpacked_file_is_taken_and_said_to_be_unchecked(content, tmp_path):
    (tmp_path / NAME.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    found = get_deposit("frangieh21", tmp_path / "work", folder=tmp_path)
    assert found.cells == tmp_path / NAME.removesuffix(".gz")
    assert "nothing" in found.told()


def test_a_folder_without_the_file_says_what_is_missing(tmp_path):
    (tmp_path / "frangieh21_procesed.h5ad.gz").touch()
    with pytest.raises(InputError, match=r"no frangieh21_processed[\s\S]*frangieh21_procesed"):
        get_deposit("frangieh21", tmp_path / "work", folder=tmp_path)
    with pytest.raises(InputError, match="empty or missing"):
        get_deposit("frangieh21", tmp_path / "work", folder=tmp_path / "nowhere")


def test_from_the_hub_with_its_splits(hub, content, tmp_path):
    table = b"cell,train\n"
    hub.files[hub.commit] = {NAME: content, SPLIT: table}
    found = get_deposit(
        "frangieh21", tmp_path, accepted={NAME: digest(content), SPLIT: digest(table)}
    )  # fmt: skip
    assert found.cells.read_bytes() == gzip.decompress(content)
    assert [path.read_bytes() for path in found.splits] == [table]
    assert f"/resolve/{hub.commit}/{NAME}" in found.file.origin
    before = len([one for one in hub.requests if one[0] == "GET"])
    get_deposit("frangieh21", tmp_path, accepted={NAME: digest(content), SPLIT: digest(table)})
    assert len([one for one in hub.requests if one[0] == "GET"]) == before


def test_the_first_commit_is_kept_when_the_hub_goes_on(hub, tmp_path):
    hub.files[hub.commit] = {"a": b"first", "b": b"first"}
    first = hub.commit
    assert fetch("a", tmp_path) == (fetch("a", tmp_path)[0], first)
    hub.commit, hub.files[LATER] = LATER, {"a": b"later", "b": b"later"}
    path, commit = fetch("b", tmp_path)
    assert (path.read_bytes(), commit) == (b"first", first)
    path, commit = fetch("b", tmp_path, LATER)
    assert (path.read_bytes(), commit) == (b"later", LATER)
    assert fetch("b", tmp_path)[1] == first


def test_a_hub_without_the_file_or_revision_is_said_so(hub, tmp_path):
    with pytest.raises(DownloadError, match="Cannot fetch nothing"):
        fetch("nothing", tmp_path)
    hub.files[hub.commit] = {"a": b"first"}
    with pytest.raises(DownloadError, match="at 123"):
        fetch("a", tmp_path, "123")


def test_splits_in_an_archive_are_unpacked(content, tmp_path):
    cells, splits = "mcfaline23_gxe_processed.h5ad.gz", "mcfaline23_gxe_splits.tar.gz"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in ("splits/full_split.csv", "splits/._full_split.csv", "splits/README.md"):
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"a,b\n"))
    (tmp_path / cells).write_bytes(content)
    (tmp_path / splits).write_bytes(stream.getvalue())
    accepted = {cells: digest(content), splits: digest(stream.getvalue())}
    found = get_deposit("mcfaline24", tmp_path / "work", folder=tmp_path, accepted=accepted)
    assert [path.name for path in found.splits] == ["full_split.csv"]
