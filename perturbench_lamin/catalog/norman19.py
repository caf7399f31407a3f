"""Norman 2019: activation of single genes and pairs in K562."""

from perturbench_lamin.catalog.archives import SCPERTURB_RECORD, deposited_file, zenodo_file
from perturbench_lamin.catalog.dataset import GENETIC, Dataset, Shape, Task, unseen_task

NAME = "norman19"

DATASET = Dataset(
    name=NAME,
    aliases=("norman", "normanweissman2019"),
    title="Exploring genetic interaction manifolds constructed from rich single-cell phenotypes",
    citation="Norman et al., Science, 2019",
    doi="10.1126/science.aax4438",
    licence="CC-BY-4.0",
    accession="GSE133344",
    perturbation_type=GENETIC,
    covariates=("cell_type",),
    raw_files=(zenodo_file(NAME, SCPERTURB_RECORD, "NormanWeissman2019_filtered.h5ad"),),
    deposited=(
        deposited_file(
            NAME, "norman19_processed.h5ad.gz", "8f880e3d85bb68a73a6d044cae13f62a86b8132b0302c6e1bc4b4e5564e6530f"
        ),
    ),
    tasks=(
        Task("combine", "combine", ("cell_type",), {"max_heldout_fraction": 0.7}, seed=42),
        Task("combine-inverse", "combine-inverse", ("cell_type",), {"max_heldout_fraction": 0.3}, seed=42),
        unseen_task(("cell_type",)),
    ),
    raw=Shape(111_445, 33_694, 237),
    curated=Shape(111_445, 5_666, 237),
    published=Shape(91_168, 5_575),
    notes="The deposited file was not made from the scPerturb file: it has other cells.",
)
