"""Jiang 2025: pathway regulators knocked down in six lines under five cytokines."""

from itertools import product

from perturbench_lamin.catalog.archives import deposited_file, zenodo_file
from perturbench_lamin.catalog.dataset import GENETIC, Dataset, Shape, Task, unseen_task

NAME = "jiang25"
COVARIATES = ("cell_type", "treatment")
CYTOKINES = ("IFNB", "IFNG", "INS", "TGFB", "TNFA")
"""In the order in which the published recipe puts the files together."""

HELD_OUT = tuple(product(("k562", "mcf7", "ht29", "hap1"), ("IFNG", "INS", "TGFB")))

DATASET = Dataset(
    name=NAME,
    aliases=("jiang24", "jiang"),
    title="Systematic reconstruction of molecular pathway signatures using scalable single-cell perturbation screens",
    citation="Jiang et al., Nature Cell Biology, 2025",
    doi="10.1038/s41556-025-01622-z",
    licence="CC-BY-4.0",
    accession="GSE281048",
    perturbation_type=GENETIC,
    covariates=COVARIATES,
    raw_files=tuple(
        zenodo_file(NAME, "10520190", f"Seurat_object_{cytokine}_Perturb_seq.rds") for cytokine in CYTOKINES
    ),
    deposited=(
        deposited_file(
            NAME, "jiang24_processed.h5ad.gz", "e92dec6610e261f31eb15d50aff0c12e19e99d992452e1f14d560477e741ccfe"
        ),
        deposited_file(NAME, "jiang24_split.csv", "f1822ab1252b363727f30bbe8889384c2b306369889364390ecccb80e75f87d7"),
    ),
    tasks=(
        Task("transfer", "manual", COVARIATES, {"heldout_states": HELD_OUT, "max_heldout_fraction": 0.7}, seed=0),
        unseen_task(COVARIATES),
    ),
    raw=Shape(1_628_476),
    curated=Shape(1_628_476, 15_476, 219),
    published=Shape(1_628_476),
    notes="The published split holds out 12 covariate states; the paper says 9.",
)
