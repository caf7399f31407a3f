"""Gene tables: bionty's columns, written and read back."""

from __future__ import annotations

import pandas as pd
import pytest

from perturbench_lamin.curation.genes import GeneTable
from perturbench_lamin.errors import InputError
from perturbench_lamin.ingestion.gene_table import from_bionty, origin_of, write_gene_table


def bionty_table(**changes):
    columns = {
        "ensembl_gene_id": ["ENSG00000105610", "ENSG00000001", "ENSG00000002"],
        "symbol": ["KLF1", None, "NA"],
        "biotype": ["protein_coding", "lncRNA", "lncRNA"],
        "synonyms": ["EKLF", "", ""],
    }
    return pd.DataFrame(columns | changes)


def test_bionty_columns_become_ours_and_no_symbol_is_lost(tmp_path):
    genes = from_bionty(bionty_table())
    path = write_gene_table(genes, tmp_path / "genes.csv.gz")
    read = GeneTable.read(path)
    pd.testing.assert_frame_equal(read.table, genes.table)
    assert read.symbols(["ENSG00000002", "ENSG00000001", "ENSG00000105610.9"]).tolist() == ["NA", None, "KLF1"]


def test_the_same_genes_give_the_same_bytes(tmp_path):
    first = write_gene_table(from_bionty(bionty_table()), tmp_path / "a.csv.gz")
    second = write_gene_table(from_bionty(bionty_table().iloc[::-1]), tmp_path / "b.csv.gz")
    assert first.read_bytes() == second.read_bytes()


def test_a_row_twice_is_one_gene_and_a_contradiction_is_an_error():
    table = bionty_table()
    assert len(from_bionty(pd.concat([table, table])).table) == 3
    other = table.assign(symbol=["GATA1", None, "NA"])
    with pytest.raises(InputError, match=r"two symbols.*ENSG00000105610"):
        from_bionty(pd.concat([table, other]))


def test_a_table_of_other_columns_is_refused():
    with pytest.raises(InputError, match="no column symbol"):
        from_bionty(bionty_table().drop(columns="symbol"))


def test_the_origin_names_the_file_by_its_content(tmp_path):
    path = tmp_path / "genes.csv"
    path.write_text("")
    assert origin_of(path, "release-114").startswith("file genes.csv, SHA-256 e3b0c442")
    assert "release-114" in origin_of(None, "release-114")
