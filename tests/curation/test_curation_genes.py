"""Gene identifiers: exact matches alone."""

from __future__ import annotations

import gzip

import pytest

from perturbench_lamin.curation.genes import GeneTable, make_unique, select_symbols, strip_version
from perturbench_lamin.errors import InputError

ROWS = "ENSG01,TP53,18,100,protein_coding\nENSG02,NA,1,10,x\nENSG03,,1,10,x\nENSG04,ENSG04,2,9,x\nENSG05,TP53,1,9,x\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "genes.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode()))
    return GeneTable.read(path)


def test_symbols_by_id(table):
    found = table.symbols(["ENSG02", "ENSG01.7", "ENSG03", "ENSG04", "ENSG99"])
    assert found.tolist() == ["NA", "TP53", None, None, None]


def test_versions_are_cut_from_ensembl_ids_alone():
    names = ["ENSG00000141510.18", "ENSMUSG01.2", "RP11-34P13.7", "ENSG01", "ENSG00000228572.7_PAR_Y"]
    assert strip_version(names).tolist() == [
        "ENSG00000141510",
        "ENSMUSG01",
        "RP11-34P13.7",
        "ENSG01",
        "ENSG00000228572",
    ]


def test_only_missing_symbols_are_dropped():
    selection = select_symbols(["nanog", None, "", "NA", float("nan"), "nanog", "TP53"])
    assert selection.symbols.tolist() == ["nanog", "NA", "TP53"]
    assert selection.positions.tolist() == [0, 3, 6]
    assert selection.record["genes"].tolist() == [7, 4, 3]
    assert select_symbols(["a", "a", "b"], repeats="none").symbols.tolist() == ["b"]


def test_unreadable_annotations_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        GeneTable.read(tmp_path / "none.csv")
    (tmp_path / "short.csv").write_text("ENSG01,TP53\n")
    with pytest.raises(InputError, match="2 columns"):
        GeneTable.read(tmp_path / "short.csv")
    (tmp_path / "twice.csv").write_text("ENSG01,TP53,1,1,x\n" * 2)
    with pytest.raises(InputError, match="occurs twice"):
        GeneTable.read(tmp_path / "twice.csv")


def test_the_real_annotation(shared_file):
    genes = GeneTable.read(shared_file("data/metadata/genes_homo_sapiens.csv.gz"))
    assert genes.symbols(["ENSG00000141510.18"]).tolist() == ["TP53"]


def test_repeated_names_get_numbers():
    assert make_unique(["a", "b", "a"]).tolist() == ["a", "b", "a-1"]
