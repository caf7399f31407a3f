"""Checking a file's terms, without an instance."""

from __future__ import annotations

import pytest
from small_files import GENES, cells, write_curated, write_gene_table

from perturbench_lamin.errors import InputError
from perturbench_lamin.metadata.check import CheckOptions, check_terms
from perturbench_lamin.metadata.datasets import DatasetTerms
from perturbench_lamin.metadata.genes import Genes

MOUSE = {f"ENSMUSG0000000000{number}": f"Klf{number}" for number in range(6)}


@pytest.fixture
def genes(gene_table):
    return Genes.read(gene_table)


def norman(tmp_path, *conditions, cell_type="K562", **options):
    return write_curated(tmp_path / "file.h5ad", cells(*conditions, cell_type=cell_type), **options)


def notes(checked):
    return {(note.step, note.reason): note.count for note in checked.notes}


def test_every_value_gets_its_term(tmp_path, genes):
    checked = check_terms(norman(tmp_path, "KLF1", "KLF1+CEBPA"), "norman19", genes=genes)
    table = checked.table().set_index(["column", "value"])
    assert table.loc[("cell_type", "K562"), "ontology_id"] == "CVCL_0004"
    assert table.loc[("condition", "KLF1"), ["cells", "ontology_id"]].to_list() == [4, "ENSG00000105610"]
    assert table.loc[("condition", "CEBPA"), "cells"] == 2
    assert len(table) == 3
    assert sorted(checked.genes["symbol"]) == sorted(GENES.values())
    assert checked.notes == ()


def test_unknown_terms_are_all_named_with_their_cells_and_the_nearest(tmp_path, genes):
    rows = cells("KLF11", "KLF1", cell_type="K5622") + cells("PTENX", cell_type="K562")
    path = write_curated(tmp_path / "file.h5ad", rows)
    with pytest.raises(InputError) as caught:
        check_terms(path, "norman19", genes=genes)
    message = str(caught.value)
    assert "3 terms do not validate" in message
    assert "column 'cell_type': 'K5622' (6 cells) is no known cell line; nearest: " in message
    assert "column 'condition': 'KLF11' (2 cells) is no known gene; nearest: KLF1 (ENSG00000105610)" in message
    assert "column 'condition': 'PTENX' (2 cells) is no known gene; nearest: PTEN (ENSG00000171862)" in message
    assert str(path) in message


def test_symbols_are_matched_in_their_case_alone(tmp_path, genes):
    with pytest.raises(InputError, match=r"'Klf1' \(2 cells\).*nearest: KLF1"):
        check_terms(norman(tmp_path, "Klf1"), "norman19", genes=genes)


def test_a_former_symbol_is_explained_by_the_table_or_by_the_files_own_ensembl_id(tmp_path, genes):
    old = {**GENES, "ENSG00000141510": "OLDP53"}
    checked = check_terms(norman(tmp_path, "KIAA1804", "OLDP53", "ENSG00000171862", genes=old), "norman19", genes=genes)
    names = {value: (term.term.name, term.term.how) for (_, value), term in checked.uses.items()}
    assert names["KIAA1804"] == ("MAP3K21", "synonym table")
    assert names["OLDP53"][0] == "TP53"
    assert names["OLDP53"][1].startswith("former symbol")
    assert names["ENSG00000171862"] == ("PTEN", "Ensembl id")


def test_without_a_gene_table_genes_are_taken_and_noted(tmp_path):
    checked = check_terms(norman(tmp_path, "KLF1", "NOGENE"), "norman19")
    assert checked.term("condition", "KLF1").ontology_id == "ENSG00000105610"  # as the file says
    assert checked.term("condition", "NOGENE").ontology_id == ""
    assert notes(checked) == {
        ("gene", "no gene table: not checked"): 2,
        ("genes", "not checked: no gene table"): len(GENES),
    }


def test_measured_genes_that_the_table_lacks_are_noted_up_to_a_share(tmp_path, gene_table):
    fewer = Genes.read(write_gene_table(tmp_path / "fewer.csv", dict(list(GENES.items())[:5])))
    path = norman(tmp_path, "KLF1")
    checked = check_terms(path, "norman19", genes=fewer)
    assert notes(checked) == {("genes", "measured, but not in the gene table (retired, or renamed)"): 1}
    with pytest.raises(InputError, match=r"1 of 6 genes are not in the gene table sha256-"):
        check_terms(path, "norman19", genes=fewer, options=CheckOptions(max_unknown_genes=0.1))


def test_a_gene_table_of_another_species_is_refused(tmp_path):
    path = write_gene_table(tmp_path / "mouse.csv", {**MOUSE, "ENSG00000105610": "KLF1"})
    with pytest.raises(InputError, match=r"6 of 7 ids are not those of human genes.*mouse.csv.*\n.*ENSMUSG"):
        Genes.read(path)


def test_a_file_of_another_species_is_refused(tmp_path, genes):
    path = norman(tmp_path, "KLF1", genes=MOUSE)
    with pytest.raises(InputError, match=r"6 of 6 genes are not in the gene table sha256-.*\n.*this species.*ENSMUSG"):
        check_terms(path, "norman19", genes=genes)


def test_genes_without_ids_are_checked_by_symbol(tmp_path, genes):
    checked = check_terms(norman(tmp_path, "KLF1", ids=False), "norman19", genes=genes)
    assert len(checked.genes) == len(GENES)
    assert notes(checked) == {("genes", "checked by symbol: the file has no Ensembl id"): len(GENES)}


def test_a_simulation_may_invent_names_and_they_are_noted(tmp_path, genes):
    invented = {f"ENSG9000000000{number}": f"GENE{number}" for number in range(6)}
    path = norman(tmp_path, "GENE1", "KLF1", cell_type="line1", genes=invented)
    checked = check_terms(path, "norman19", genes=genes, options=CheckOptions(simulated=True))
    assert checked.term("condition", "KLF1").ontology_id == "ENSG00000105610"
    assert notes(checked)[("gene", "simulated: not checked")] == 1
    assert notes(checked)[("cell_line", "simulated: not checked")] == 1


def test_a_simulations_ensembl_ids_are_never_taken_for_real_ones(tmp_path):
    path = norman(tmp_path, "KLF1", genes={"ENSG90000000001": "KLF1"})
    checked = check_terms(path, "norman19", options=CheckOptions(simulated=True))
    assert checked.term("condition", "KLF1").ontology_id == ""
    assert check_terms(path, "norman19").term("condition", "KLF1").ontology_id == "ENSG90000000001"


def test_a_compound_that_chebi_lacks_is_identified_by_its_structure_or_refused(tmp_path):
    key = "NCNRHFGMJRPRSK-MDZDMXLPSA-N"
    rows = [
        {"condition": "control", "SMILES": "CS(C)=O", "InChIKey": ""},
        {"condition": "New+Drug [a]", "SMILES": "C[N+]", "InChIKey": key},
        {"condition": "Other Drug", "SMILES": "CCO", "InChIKey": ""},
    ]
    rows = [{**row, "cell_type": "NK cells"} for row in rows]
    path = write_curated(tmp_path / "op3.h5ad", rows, delimiter=None)
    checked = check_terms(path, "szalata24")
    assert checked.tables.structures["New+Drug [a]"] == {"smiles": "C[N+]", "inchikey": key}
    assert notes(checked)[("compound", "not in ChEBI by name: identified by its inchikey")] == 1
    assert notes(checked)[("compound", "not in ChEBI by name: identified by its smiles")] == 1
    bare = write_curated(tmp_path / "bare.h5ad", cells("Belinostta", cell_type="T cells"), delimiter=None)
    with pytest.raises(InputError, match=r"'Belinostta' \(2 cells\) is no known compound; nearest: belinostat"):
        check_terms(bare, "szalata24")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"InChIKey": ["", "nonsense", "nonsense"]}, "'nonsense' of 'belinostat' is not an InChIKey"),
        ({"smiles": ["", "CCO", "CCN"]}, "1 compounds have several values of 'smiles'"),
        ({"dose": ["0", "ten", "1"]}, "(?s)'dose' holds what is no number.*ten"),
        ({"cell_type": ["T cells", None, "T cells"]}, "'cell_type' has no value in 1 cells"),
    ],
)
def test_contradictions_are_refused(tmp_path, columns, message):
    rows = [
        {"condition": one, "cell_type": "T cells", **{name: values[place] for name, values in columns.items()}}
        for place, one in enumerate(["control", "belinostat", "belinostat"])
    ]
    path = write_curated(tmp_path / "op3.h5ad", rows, covariates=(), delimiter=None)
    with pytest.raises(InputError, match=message):
        check_terms(path, "szalata24")


def test_columns_that_are_missing_are_noted(tmp_path, genes):
    path = write_curated(tmp_path / "file.h5ad", cells("KLF1"), covariates=())
    checked = check_terms(path, "mcfaline24", genes=genes)
    assert notes(checked) == {("columns", "not checked: the file has no such column"): 2}


def test_another_dataset_says_what_its_columns_mean(tmp_path, genes):
    path = norman(tmp_path, "KLF1")
    with pytest.raises(InputError, match=r"'mine' mean.*\n.*DatasetTerms"):
        check_terms(path, "mine", genes=genes)
    checked = check_terms(path, "mine", genes=genes, terms=DatasetTerms("gene", "CRISPRi"))
    assert checked.term("cell_type", "K562").ontology_id == "CVCL_0004"


def test_another_dataset_may_bring_its_own_synonyms(tmp_path, genes):
    table = tmp_path / "own.csv"
    table.write_text("dataset,registry,value,ontology_id,name\nnorman19,gene,PSEUDO,ENSG00000105610,KLF1\n")
    checked = check_terms(norman(tmp_path, "PSEUDO"), "norman19", genes=genes, options=CheckOptions(synonyms=[table]))
    assert checked.term("condition", "PSEUDO").name == "KLF1"


@pytest.mark.parametrize(
    "row", ["cell_line,K562,CVCL_0004,K-563", "cell_line,K562,CVCL_none,K-562", "gene,KLF1,ENSG00000171862,KLF1"]
)
def test_synonyms_of_terms_that_do_not_exist_are_refused(tmp_path, genes, row):
    table = tmp_path / "own.csv"
    table.write_text(f"dataset,registry,value,ontology_id,name\n*,{row}\n")
    with pytest.raises(InputError, match=r"(?s)1 synonyms name terms.*own\.csv.*" + row.split(",")[2]):
        check_terms(norman(tmp_path, "KLF1"), "norman19", genes=genes, options=CheckOptions(synonyms=[table]))


def test_a_system_goes_with_genes_and_only_with_genes():
    with pytest.raises(InputError, match="need the system"):
        DatasetTerms("gene")
    with pytest.raises(InputError, match="need the system"):
        DatasetTerms("compound", "CRISPRi")
    with pytest.raises(InputError, match="Unknown kind"):
        DatasetTerms("protein")


def test_symbols_shared_by_genes_go_to_the_files_gene_then_to_the_one_that_codes(tmp_path):
    rows = "ENSG01,DUP,1,9,lncRNA\nENSG02,DUP,1,9,protein_coding\nENSG03,TWO,1,9,lncRNA\nENSG04,TWO,1,9,lncRNA\n"
    path = tmp_path / "genes.csv"
    path.write_text(rows)
    table = Genes.read(path)
    assert table.by_symbol("DUP").ontology_id == "ENSG02"
    assert table.by_symbol("DUP", prefer="ENSG01").ontology_id == "ENSG01"
    assert table.by_symbol("TWO") is None
    assert table.by_symbol("TWO", prefer="ENSG04").ontology_id == "ENSG04"
