"""Gene identifiers: exact matches alone."""

from __future__ import annotations

import gzip

import pytest

from perturbench_lamin.curation.genes import GeneTable, make_unique, select_symbols, strip_version
from perturbench_lamin.errors import InputError, IntegrityError

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
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(ROWS.encode())[:-5])
    with pytest.raises(IntegrityError, match="Truncated or corrupt"):
        GeneTable.read(tmp_path / "cut.csv.gz")


GENE = "ENSG01,TP53,18,100,protein_coding\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ENSG01,TP53\n", r"2 columns instead of 5 \[.*line 1"),
        (GENE + "ENSG02,NA,1,10\n", r"4 columns instead of 5 \[.*line 2"),
        (GENE + GENE, r"occurs twice \[.*line 2\](.|\n)*ENSG01"),
        ("ensembl_id,symbol,version,length,biotype\n" + GENE, r"'ensembl_id' is none \[.*line 1\](.|\n)*no header"),
        ("ENSG,symbol,version,length,biotype\n" + GENE, r"'ENSG' is none \[.*line 1"),
        (GENE + ",NA,1,10,x\n", r"The ensembl_id '' is none \[.*line 2"),
        (GENE + "ENSG02.3,NA,1,10,x\n", r"'ENSG02.3' is none \[.*line 2"),
        (GENE + "TP53,ENSG02,1,10,x\n", r"'TP53' is none \[.*line 2"),
        (GENE + "ENSG02,NA,1.5,10,x\n", r"version '1.5' is none \[.*line 2"),
        (GENE + "ENSG02,NA,1,-,x\n", r"length '-' is none \[.*line 2"),
        (GENE + "ENSG02,NA ,1,1,x\n", r"symbol 'NA ' is none \[.*line 2"),
        (GENE.replace(",", ";"), r"1 columns instead of 5 \[.*line 1\](.|\n)*separated by semicolons"),
        (GENE + '"ENSG02,NA,1,10,x\n', "Not readable as CSV"),
        ("", "No genes"),
    ],
)
def test_a_line_that_is_no_gene_is_refused(tmp_path, text, message):
    (tmp_path / "genes.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        GeneTable.read(tmp_path / "genes.csv")


def test_the_real_annotation(shared_file):
    genes = GeneTable.read(shared_file("data/metadata/genes_homo_sapiens.csv.gz"))
    assert genes.symbols(["ENSG00000141510.18"]).tolist() == ["TP53"]


def test_repeated_names_get_numbers():
    assert make_unique(["a", "b", "a"]).tolist() == ["a", "b", "a-1"]
