"""McFaline-Figueroa 2024 (sci-Plex-GxE): kinases perturbed under drugs in three glioblastoma lines."""

from perturbench_lamin.catalog.archives import deposited_file, geo_sample_file
from perturbench_lamin.catalog.dataset import GENETIC, Dataset, Shape, Task, unseen_task

NAME = "mcfaline24"
COVARIATES = ("cell_type", "treatment")
HELD_OUT = (("a172", "nintedanib"), ("t98g", "lapatinib"), ("u87mg", "none"))
"""The states of the data-scaling tasks that lose perturbations, in the order of the published draws."""

SMALL = (("a172", "none"), ("t98g", "nintedanib"), ("u87mg", "lapatinib"))
MEDIUM = (("a172", "lapatinib"), ("t98g", "none"), ("u87mg", "nintedanib"))
TRAIN_STATES = {"small": SMALL, "medium": SMALL + MEDIUM, "full": ()}
"""The states trained on besides these, by size; none named means all."""


def _more_states(size: str, train_states: tuple[tuple[str, str], ...]) -> Task:
    """Data scaling by covariates: more states to train on, the same val and test cells."""
    parameters = {"heldout_states": HELD_OUT, "train_states": train_states, "max_heldout_fraction": 0.7}
    return Task(f"scaling-{size}", "scaling", COVARIATES, parameters, seed=12345)


def _more_perturbations(size: str, level: int) -> Task:
    """Data scaling by perturbations: a quarter, half and all of them, the same val and test cells."""
    parameters = {
        "level": level,
        "shares": (0.5, 0.5),
        "sampling_seed": 84,
        "max_heldout_covariates": 7,
        "max_heldout_fraction": 0.3,
    }
    return Task(f"scaling-perturbations-{size}", "scaling-perturbations", COVARIATES, parameters, seed=57)


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
            "transfer",
            COVARIATES,
            {"max_heldout_covariates": 7, "max_heldout_fraction": 0.3},
            seed=57,
        ),
        *(_more_states(size, states) for size, states in TRAIN_STATES.items()),
        *(_more_perturbations(size, level) for level, size in reversed(list(enumerate(("full", "medium", "small"))))),
        unseen_task(COVARIATES),
    ),
    raw=Shape(1_007_884, 58_347),
    curated=Shape(878_229, 15_009, 528),
    published=Shape(892_800, None, 525),
    notes=(
        "The paper counts the cells before the treatments temozolomide and thioguanine are removed. The published "
        "description of the data-scaling draws leaves open whether the control took part and how the perturbations "
        "were ordered; here it does not, and they stand in order of appearance."
    ),
)
