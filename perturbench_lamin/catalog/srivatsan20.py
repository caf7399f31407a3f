"""Srivatsan 2020 (sci-Plex 3): 188 drugs in A549, K562 and MCF7."""

from perturbench_lamin.catalog.archives import SCPERTURB_RECORD, deposited_file, zenodo_file
from perturbench_lamin.catalog.dataset import CHEMICAL, Dataset, Shape, Task, unseen_task

NAME = "srivatsan20"


def _imbalance(percent: int) -> Task:
    """Transfer after taking drugs away from two of the lines, until the lines' balance is this."""
    parameters = {
        "balance": percent / 100,
        "sampling_seed": 42,
        "min_conditions": 30,
        "max_heldout_covariates": 1,
        "max_heldout_fraction": 0.3,
    }
    return Task(f"balance-{percent}", "imbalance", ("cell_type",), parameters, seed=57)


DATASET = Dataset(
    name=NAME,
    aliases=("sciplex3", "srivatsan"),
    title="Massively multiplex chemical transcriptomics at single-cell resolution",
    citation="Srivatsan et al., Science, 2020",
    doi="10.1126/science.aax6234",
    licence="CC-BY-4.0",
    accession="GSE139944",
    perturbation_type=CHEMICAL,
    covariates=("cell_type",),
    raw_files=(zenodo_file(NAME, SCPERTURB_RECORD, "SrivatsanTrapnell2020_sciplex3.h5ad"),),
    deposited=(
        deposited_file(
            NAME,
            "srivatsan20_highest_dose_processed.h5ad.gz",
            "ddd46251ea3942c0e3799f64cada9718b455ffdeabb1a8fe8b3333ebec4946f0",
        ),
    ),
    tasks=(
        Task(
            "transfer",
            "transfer",
            ("cell_type",),
            {
                "min_train_covariates": 1,
                "max_heldout_covariates": 1,
                "max_heldout_fraction": 0.3,
                "train_control_fraction": 0.5,
            },
            seed=42,
        ),
        *(_imbalance(percent) for percent in (100, 90, 80, 70)),
        unseen_task(("cell_type",)),
    ),
    raw=None,
    curated=Shape(183_856, 9_198, 189),
    published=Shape(178_213, 8_630),
    notes=(
        "The deposited file carries columns of another recipe; gene symbols came from a live Ensembl server. "
        "The published description of the imbalance leaves open whether the control is among the drugs that a line "
        "keeps; here it is drawn like them, and kept in any case."
    ),
)
