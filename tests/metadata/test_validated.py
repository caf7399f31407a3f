"""Curated files on a real instance: validated, annotated and found again."""

from __future__ import annotations

from typing import get_args

import pytest
from small_files import GENES, cells, write_curated, write_gene_table

from perturbench_lamin.errors import InputError
from perturbench_lamin.metadata.datasets import DATASETS
from perturbench_lamin.metadata.terms import BIOLOGICS

GENE_KEYS = ("test/norman.h5ad", "test/jiang.h5ad")


@pytest.fixture
def api(lamin):
    """The modules that connect when imported."""
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.metadata import curated, queries

    return lamin, curated, queries, artifacts


def registered(api, path, key, dataset, **options):
    _, curated, _, artifacts = api
    validated = curated.validate_curated(path, dataset, **options)
    return curated.annotate_curated(artifacts.save(path, key, "A test"), validated), validated


@pytest.fixture
def two_files(api, run, tmp_path, gene_table):
    """KLF1 in K562 in the first; in the second KLF1 in A549 alone, though K562 is there."""
    first = write_curated(tmp_path / "norman.h5ad", cells("KLF1", "CEBPA+KLF1", "EGR1", cell_type="K562"))
    rows = cells("KLF1", cell_type="a549", treatment="IFNG") + cells("TP53", cell_type="k562", treatment="IFNG")
    rows += cells("TP53", cell_type="k562", treatment="INS")
    second = write_curated(tmp_path / "jiang.h5ad", rows, covariates=("cell_type", "treatment"))
    return [
        registered(api, path, key, dataset, gene_table=gene_table)[0]
        for path, key, dataset in ((first, GENE_KEYS[0], "norman19"), (second, GENE_KEYS[1], "jiang25"))
    ]


def found(api, **asked):
    return [one.key for one in api[2].datasets_with(**asked) if one.key.startswith("test/")]


def test_every_dataset_in_which_klf1_is_perturbed_in_k562(api, two_files):
    assert found(api, perturbed_gene="KLF1") == sorted(GENE_KEYS)
    assert found(api, cell_line="K562") == sorted(GENE_KEYS)
    assert found(api, perturbed_gene="KLF1", cell_line="K562") == [GENE_KEYS[0]]
    assert found(api, perturbed_gene="KLF1", cell_line="A-549") == [GENE_KEYS[1]]
    assert found(api, perturbed_gene="TP53", cell_line="k562") == [GENE_KEYS[1]]
    assert found(api, perturbed_gene="ENSG00000105610", cell_line="K-562") == [GENE_KEYS[0]]
    assert found(api, perturbed_gene="CEBPA", cell_line="K562") == [GENE_KEYS[0]]  # in a pair alone
    assert found(api, perturbed_gene="PTEN") == []


def test_a_question_with_an_unknown_name_names_the_nearest(api, two_files):
    with pytest.raises(InputError, match=r"No gene 'KLF11'.*\n.*KLF1"):
        api[2].datasets_with(perturbed_gene="KLF11")
    with pytest.raises(InputError, match=r"No cell line 'K-5622'.*\n.*K-562"):
        api[2].datasets_with(cell_line="K-5622")
    with pytest.raises(InputError, match="Nothing is asked"):
        api[2].datasets_with()
    with pytest.raises(InputError, match="More than one perturbation"):
        api[2].datasets_with(perturbed_gene="KLF1", compound="belinostat")


def test_records_say_what_they_are(api, two_files):
    first, second = two_files
    assert list(first.cell_lines.values_list("ontology_id", flat=True)) == ["CVCL_0004"]
    line = first.cell_lines.get()
    assert (line.name, line.source.name) == ("K-562", "cellosaurus")
    names = sorted(first.genetic_perturbations.values_list("name", flat=True))
    assert names == ["CEBPA CRISPRa", "EGR1 CRISPRa", "KLF1 CRISPRa"]
    klf1 = first.genetic_perturbations.get(name="KLF1 CRISPRa")
    assert klf1.type == "CRISPRa"
    assert klf1.targets.get().genes.get().ensembl_gene_id == "ENSG00000105610"
    pair = first.combination_perturbations.get()
    assert pair.name == "CEBPA+KLF1 CRISPRa"
    assert sorted(pair.genetic_perturbations.values_list("name", flat=True)) == ["CEBPA CRISPRa", "KLF1 CRISPRa"]
    biologics = second.biologics.values_list("name", "type", "description")
    assert sorted(biologics) == [
        ("IFNG_HUMAN", "cytokine", "uniprot:P01579"),
        ("INS_HUMAN", "hormone", "uniprot:P01308"),
    ]
    assert first.schema.name == "perturbench curated AnnData"


def test_twice_makes_nothing_twice(api, run, two_files, tmp_path, gene_table):
    import bionty as bt
    import pertdb as pt

    lamin = api[0]
    registries = (bt.Gene, bt.Source, bt.CellLine, pt.GeneticPerturbation, pt.PerturbationTarget, lamin.Feature)
    registries += (lamin.Schema, pt.CombinationPerturbation, pt.GeneticPerturbation.artifacts.through)
    counts = [one.filter().count() for one in registries]
    path = write_curated(tmp_path / "again.h5ad", cells("KLF1", "CEBPA+KLF1", "EGR1", cell_type="K562"))
    _, validated = registered(api, path, GENE_KEYS[0], "norman19", gene_table=gene_table)
    again = api[1].annotate_curated(api[3].get(GENE_KEYS[0]), validated)
    assert [one.filter().count() for one in registries] == counts
    assert again.json_values.filter(feature__name="perturbed_in").count() == 1


def test_features_are_still_added_and_read_after_annotating(api, two_files):
    from perturbench_lamin.lineage.features import annotate

    annotate(two_files[0], {"dataset": "norman19", "n_cells": 8})
    values = two_files[0].features.get_values()
    assert values["n_cells"] == 8
    assert values["perturbed_in"] == {"K-562": ["CEBPA", "EGR1", "KLF1"]}


def test_what_an_earlier_check_said_is_unlinked(api, run, tmp_path, gene_table):
    _, curated, _, _ = api
    path = write_curated(tmp_path / "one.h5ad", cells("KLF1", "EGR1", cell_type="K562"))
    artifact, _ = registered(api, path, "test/corrected.h5ad", "norman19", gene_table=gene_table)
    other = write_curated(tmp_path / "two.h5ad", cells("TP53", cell_type="a549"))
    curated.annotate_curated(artifact, curated.validate_curated(other, "norman19", gene_table=gene_table))
    assert list(artifact.genetic_perturbations.values_list("name", flat=True)) == ["TP53 CRISPRa"]
    assert list(artifact.cell_lines.values_list("name", flat=True)) == ["A-549"]
    assert artifact.features.get_values()["perturbed_in"] == {"A-549": ["TP53"]}
    artifact.delete(permanent=True)


def test_drugs_have_doses_and_structures(api, run, tmp_path):
    rows = [
        {"condition": "control", "dose": 0.0, "smiles": "CS(C)=O"},
        {"condition": "Belinostat (PXD101)", "dose": 10.0, "smiles": "O=C(O)C"},
        {"condition": "Belinostat (PXD101)", "dose": 0.1, "smiles": "O=C(O)C"},
        {"condition": "Dacinostat (LAQ824)", "dose": 10.0, "smiles": "CCN"},
    ]
    rows = [{**row, "cell_type": "mcf7", "dose_unit": "uM"} for row in rows]
    path = write_curated(tmp_path / "drugs.h5ad", rows, delimiter=None)
    artifact, _ = registered(api, path, "test/drugs.h5ad", "srivatsan20")
    doses = artifact.compound_perturbations.values_list("name", "concentration", "concentration_unit")
    assert sorted(doses) == [
        ("Dacinostat 10 uM", 10.0, "uM"),
        ("belinostat 0.1 uM", 0.1, "uM"),
        ("belinostat 10 uM", 10.0, "uM"),
    ]
    compounds = dict(artifact.compounds.values_list("name", "ontology_id"))
    assert compounds == {"belinostat": "CHEBI:61076", "Dacinostat": None}
    assert artifact.compounds.get(name="Dacinostat").smiles == "CCN"
    assert found(api, compound="belinostat", cell_line="MCF7") == ["test/drugs.h5ad"]
    assert found(api, compound="belinostat", cell_line="K562") == []
    notes = artifact.features.get_values()["metadata_notes"]
    assert notes["compound: synonym table: in no ontology"] == {"count": 1, "examples": "Dacinostat (LAQ824)"}


def test_a_drug_given_beside_a_perturbed_gene_is_found_where_it_was_given(api, run, tmp_path, gene_table):
    rows = cells("KLF1", cell_type="a172", treatment="zstk474", dose=5.0)
    rows += cells("EGR1", cell_type="t98g", treatment="none", dose=0.0)
    path = write_curated(tmp_path / "gxe.h5ad", rows, covariates=("cell_type", "treatment"))
    artifact, _ = registered(api, path, "test/gxe.h5ad", "mcfaline24", gene_table=gene_table)
    assert artifact.features.get_values()["perturbed_in"] == {"A-172": ["KLF1", "ZSTK-474"], "T98G": ["EGR1"]}
    dose = artifact.compound_perturbations.get()
    assert (dose.name, dose.concentration, dose.compound.ontology_id) == ("ZSTK-474 5", 5.0, "CHEBI:90545")
    assert found(api, compound="zstk-474", cell_line="A172") == ["test/gxe.h5ad"]
    assert found(api, compound="ZSTK-474", cell_line="T98G") == []


def test_a_record_in_the_trash_is_an_error_that_says_so(lamin):
    import pertdb as pt

    from perturbench_lamin.metadata.bulk import ensure

    record = ensure(pt.PerturbationTarget, "name", [{"name": "trashed"}])["trashed"]
    record.delete()
    with pytest.raises(InputError, match=r"(?s)not shown.*trash.*trashed"):
        ensure(pt.PerturbationTarget, "name", [{"name": "trashed"}])
    record.delete(permanent=True)


def test_records_by_name_many_or_none(lamin):
    import pertdb as pt

    from perturbench_lamin.metadata.bulk import ensure, link

    rows = [{"name": f"target {number}"} for number in range(1203)]
    made = ensure(pt.PerturbationTarget, "name", [*rows, *rows])
    again = ensure(pt.PerturbationTarget, "name", rows)
    assert {name: one.pk for name, one in made.items()} == {name: one.pk for name, one in again.items()}
    assert len(made) == 1203
    assert ensure(pt.PerturbationTarget, "name", []) == {}
    link(pt.PerturbationTarget, "genes", [])


def test_without_a_gene_table_the_last_one_counts_and_is_held_against_the_file(api, run, tmp_path, gene_table):
    from perturbench_lamin.metadata.sources import genes_of_instance

    path = write_curated(tmp_path / "norman.h5ad", cells("KLF1", cell_type="K562"))
    api[1].validate_curated(path, "norman19", gene_table=gene_table)
    assert genes_of_instance().by_symbol("KLF1").ontology_id == "ENSG00000105610"
    wrong = write_curated(tmp_path / "wrong.h5ad", cells("KLFX1", cell_type="K562"))
    with pytest.raises(InputError, match=r"'KLFX1' \(2 cells\) is no known gene; nearest: KLF1"):
        api[1].validate_curated(wrong, "norman19")


def test_another_gene_table_is_another_source(api, run, tmp_path):
    import bionty as bt

    table = write_gene_table(tmp_path / "later.csv", {**GENES, "ENSG00000136997": "MYC"})
    path = write_curated(tmp_path / "myc.h5ad", cells("MYC", cell_type="K562"))
    validated = api[1].validate_curated(path, "norman19", gene_table=table)
    source = bt.Gene.get(ensembl_gene_id="ENSG00000136997").source
    assert source.version == validated.checked.annotation.version
    assert source.version.startswith("sha256-")


def test_bionty_still_asks_a_server_what_ensembl_ids_are_of():
    """When this fails, ``schema._genes_are_human`` is no longer needed."""
    import inspect

    from bionty import _organism

    assert "s3_bionty_assets" in inspect.getsource(_organism.infer_organism_from_ensembl_id)


@pytest.fixture
def accepted(api, run, tmp_path, gene_table):
    path = write_curated(tmp_path / "norman.h5ad", cells("KLF1", cell_type="K562"))
    return api[1].validate_curated(path, "norman19", gene_table=gene_table)


def test_the_schema_takes_known_genes_alone(accepted):
    # Without this, LaminDB's curator lets unknown Ensembl ids pass.
    assert accepted.schema.slots["var.T"].maximal_set
    assert accepted.schema.slots["var.T"].itype == "bionty.Gene.ensembl_gene_id"


def test_systems_are_words_of_pertdb(lamin):
    from pertdb.types import BiologicType, GeneticPerturbationSystem

    assert {one.system for one in DATASETS.values()} <= {*get_args(GeneticPerturbationSystem), ""}
    assert set(BIOLOGICS) <= set(get_args(BiologicType))


def test_the_curator_refuses_a_perturbation_that_is_in_no_registry(accepted):
    import pertdb as pt

    from perturbench_lamin.metadata import schema

    stranger = {"genetic_perturbation": [pt.GeneticPerturbation(name="never saved", type="CRISPRa")]}
    with pytest.raises(InputError, match=r"(?s)curator does not accept.*never saved"):
        schema.validate(accepted.checked, stranger)
