"""Szałata 2024 (OP3): drugs on blood cells of several donors."""

from perturbench_lamin.catalog.archives import deposited_file, geo_series_file
from perturbench_lamin.catalog.dataset import CHEMICAL, Dataset, Shape, Task, unseen_task

NAME = "szalata24"

DATASET = Dataset(
    name=NAME,
    aliases=("op3", "szalata"),
    title="A benchmark for prediction of transcriptomic responses to chemical perturbations across cell types",
    citation="Szałata et al., NeurIPS Datasets and Benchmarks, 2024",
    doi=None,
    licence=None,
    accession="GSE279945",
    perturbation_type=CHEMICAL,
    covariates=("cell_type",),
    raw_files=(geo_series_file(NAME, "GSE279945", "GSE279945_sc_counts_processed.h5ad", size=14_202_156_609),),
    deposited=(
        deposited_file(
            NAME, "op3_processed.h5ad.gz", "a95d7b3717128f89d34abdc5031e38bd04ed616296b9344f720f9e1e9d265b99"
        ),
        deposited_file(NAME, "op3_split.csv", "433e23e944ba7865185520a41510323186f755f7bc5a5a413d11704e2db60e90"),
    ),
    tasks=(
        Task(
            "transfer",
            "predefined",
            ("cell_type",),
            {
                "column": "split",
                "names": {"train": "train", "public_test": "val", "private_test": "test"},
                "unassigned": "control",
                "min_cells": 100,
                "val_test_seed": 21,
            },
            seed=11,
        ),
        unseen_task(("cell_type",)),
    ),
    raw=Shape(298_087, 21_265, 144),
    curated=Shape(298_087, 21_265, 144),
    published=Shape(298_087, 21_265, 144),
    notes="A condition is a SMILES string; the control is dimethyl sulfoxide, C[S+](C)[O-].",
)
