"""The reviewed table: every row is right by the shipped ontologies, and reading it is strict."""

from __future__ import annotations

import csv

import pytest

from perturbench_lamin.errors import InputError
from perturbench_lamin.metadata.datasets import DATASETS
from perturbench_lamin.metadata.genes import Genes
from perturbench_lamin.metadata.names import plain_names
from perturbench_lamin.metadata.ontologies import SHIPPED, shipped
from perturbench_lamin.metadata.synonyms import Synonyms
from perturbench_lamin.metadata.terms import CELL_LINE, CELL_TYPE, COMPOUND, CYTOKINE, GENE, HORMONE

ROWS = Synonyms.read().rows
TRUNCATED = {
    "AZ": "AZ 960",
    "Anacardic": "Anacardic Acid",
    "Aurora": "Aurora A Inhibitor I",
    "Bisindolylmaleimide": "Bisindolylmaleimide IX (Ro 31-8220 Mesylate)",
    "Ellagic": "Ellagic acid",
    "GSK": "GSK J1",
    "Sodium": "Sodium Phenylbutyrate",
    "Tie2": "Tie2 kinase inhibitor",
    "Tubastatin": "Tubastatin A HCl",
    "Valproic": "Valproic acid sodium salt (Sodium valproate)",
    "ZM": "ZM 447439",
}
"""Names of which a published list kept the first word alone."""


@pytest.mark.parametrize("registry", sorted(SHIPPED))
def test_identifiers_and_names_are_those_of_the_shipped_ontology(registry):
    rows = {key: row for key, row in ROWS.items() if key[1] == registry and row[0]}
    assert rows, registry
    for key, (ontology_id, name) in rows.items():
        term = shipped(registry).get(ontology_id)
        assert term is not None, key
        assert term.name == name, key


def test_compounds_that_are_said_to_be_in_no_ontology_are_in_none():
    said = [value for (_, registry, value), row in ROWS.items() if registry == COMPOUND and not row[0]]
    assert len(said) > 50
    assert [value for value in said if shipped(COMPOUND).find(value)] == []


def test_former_symbols_are_of_the_gene_named_and_no_symbols_now(shared_file):
    genes = Genes.read(shared_file("data/metadata/genes_homo_sapiens.csv.gz"))
    rows = {value: row for (_, registry, value), row in ROWS.items() if registry == GENE}
    assert {value: genes.by_id(row[0]).name for value, row in rows.items()} == {v: row[1] for v, row in rows.items()}
    assert [value for value in rows if genes.by_symbol(value)] == []


def test_every_compound_of_sci_plex_is_explained(shared_file):
    with shared_file("data/metadata/trapnell_drugs_smiles.csv").open() as stream:
        names = [TRUNCATED.get(row[0], row[0]) for row in csv.reader(stream)]
    table, chebi = Synonyms.read(), shipped(COMPOUND)
    unexplained = [
        name
        for name in names
        if name != "control"
        and not any(table.find("srivatsan20", COMPOUND, one) or chebi.find(one) for one, _ in plain_names(name))
    ]
    assert len(names) > 180
    assert unexplained == []


@pytest.mark.parametrize(
    ("dataset", "column", "values"),
    [
        ("norman19", "cell_type", ["K562"]),
        ("srivatsan20", "cell_type", ["k562", "a549", "mcf7"]),
        ("frangieh21", "cell_type", ["melanocyte"]),
        ("frangieh21", "treatment", ["IFNγ", "co-culture"]),
        ("mcfaline24", "cell_type", ["a172", "t98g", "u87mg"]),
        (
            "mcfaline24",
            "treatment",
            ["lapatinib", "nintedanib", "trametinib", "zstk474", "temozolomide", "thioguanine"],
        ),
        ("jiang25", "cell_type", ["a549", "bxpc3", "hap1", "ht29", "k562", "mcf7"]),
        ("jiang25", "treatment", ["IFNB", "IFNG", "INS", "TGFB", "TNFA"]),
        ("szalata24", "cell_type", ["B", "T", "NK", "Myeloid", "NK cells", "Myeloid cells"]),
    ],
)
def test_every_covariate_of_the_six_datasets_is_explained(dataset, column, values):
    from perturbench_lamin.metadata.resolve import Resolver

    resolver = Resolver(dataset, Synonyms.read())
    kinds = DATASETS[dataset].columns[column]
    assert [value for value in values if resolver.find_any(kinds, value) is None] == []


def test_a_dataset_of_its_own_comes_before_everywhere(tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("dataset,registry,value,ontology_id,name\nmine,cell_line,K562,CVCL_9119,K562(S)\n")
    table = Synonyms.read(own)
    assert table.find("mine", CELL_LINE, "k562").ontology_id == "CVCL_9119"
    assert table.find("yours", CELL_LINE, "k562").ontology_id == "CVCL_0004"
    assert table.find("yours", CELL_TYPE, "k562") is None


def test_genes_are_matched_by_exact_case_others_by_any():
    table = Synonyms.read()
    assert table.find("x", GENE, "KIAA1804").name == "MAP3K21"
    assert table.find("x", GENE, "kiaa1804") is None
    assert table.find("x", CELL_LINE, "K562") == table.find("x", CELL_LINE, "k562")
    assert table.find("jiang25", CYTOKINE, "INS") is None
    assert table.find("jiang25", HORMONE, "INS").name == "INS_HUMAN"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset,value\na,b\n", "Columns 'dataset', 'value'"),
        ("dataset,registry,value,ontology_id,name\n*,cell_lin,a,b,c\n", "Unknown registry 'cell_lin'.*line 2"),
        ("dataset,registry,value,ontology_id,name\n*,gene,,b,c\n", "empty.*line 2"),
        ("dataset,registry,value,ontology_id,name\n*,compound,a,b,c\n*,compound,A,b,c\n", "twice.*line 3"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        Synonyms.read(path)
    with pytest.raises(InputError, match="No such file"):
        Synonyms.read(tmp_path / "none.csv")
