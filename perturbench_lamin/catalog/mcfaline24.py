"""McFaline-Figueroa 2024 (sci-Plex-GxE): kinases perturbed under drugs in three glioblastoma lines."""

from perturbench_lamin.catalog.archives import deposited_file, geo_sample_file
from perturbench_lamin.catalog.dataset import GENETIC, Dataset, Shape, Task

NAME = "mcfaline24"
COVARIATES = ("cell_type", "treatment")

DATASET = Dataset(
    name=NAME,
    aliases=("mcfaline23", "mcfalinefigueroa23", "mcfalinefigueroa24", "mcfaline"),
    title=("Multiplex single-cell chemical genomics reveals the kinase dependence of the response to targeted therapy"),
    citation="McFaline-Figueroa et al., Cell Genomics, 2024",
    doi="10.1016/j.xgen.2023.100487",
    licence=None,
    accession="GSE225775",
    perturbation_type=GENETIC,
    covariates=COVARIATES,
    raw_files=(
        geo_sample_file(NAME, "GSM7056148", "GSM7056148_sciPlexGxE_1_preprocessed_cds.rds.gz"),
        geo_sample_file(NAME, "GSM7056149", "GSM7056149_sciPlexGxE_2_preprocessed_cds.list.RDS.gz"),
    ),
    deposited=(
        deposited_file(
            NAME,
            "mcfaline23_gxe_processed.h5ad.gz",
            "f6639e1ee8f24d2f2d0eea0011446fad370cfba96009ffc257b85fa604aa36f8",
        ),
        deposited_file(
            NAME, "mcfaline23_gxe_splits.tar.gz", "a383a9e8e38e63756e5dd9e1a4df7844a97669ef0d553c70de8f1441e40f0aa7"
        ),
    ),
    tasks=(
        Task(
            "transfer",
            COVARIATES,
            {"max_heldout_covariates": 7, "max_heldout_fraction": 0.3},
            seed=57,
        ),
    ),
    raw=Shape(1_007_884, 58_347),
    curated=Shape(878_229, 15_009, 528),
    published=Shape(892_800, None, 525),
    notes="The paper counts the cells before the treatments temozolomide and thioguanine are removed.",
)
