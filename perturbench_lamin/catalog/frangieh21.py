"""Frangieh 2021: knock-outs in melanoma cells, alone, with interferon gamma, and in co-culture."""

from perturbench_lamin.catalog.archives import SCPERTURB_RECORD, deposited_file, zenodo_file
from perturbench_lamin.catalog.dataset import GENETIC, Dataset, Shape, Task, unseen_task

NAME = "frangieh21"

DATASET = Dataset(
    name=NAME,
    aliases=("frangieh", "frangiehizar2021"),
    title=("Multimodal pooled Perturb-CITE-seq screens in patient models define mechanisms of cancer immune evasion"),
    citation="Frangieh et al., Nature Genetics, 2021",
    doi="10.1038/s41588-021-00779-1",
    licence="CC-BY-4.0",
    accession="SCP1064",
    perturbation_type=GENETIC,
    covariates=("treatment",),
    raw_files=(zenodo_file(NAME, SCPERTURB_RECORD, "FrangiehIzar2021_RNA.h5ad"),),
    deposited=(
        deposited_file(
            NAME, "frangieh21_processed.h5ad.gz", "d8e93131e33c02b9fce9d1a1ba8e4924ae6cc4907341b45138ef82cb4a162c79"
        ),
        deposited_file(
            NAME, "frangieh21_split.csv", "ac2e8361a44239eb07aa813ca9025985b399aecce4851ef879a534bb1a72b711"
        ),
    ),
    tasks=(
        Task(
            "transfer",
            "manual",
            ("treatment",),
            {"heldout_states": (("co-culture",),), "max_heldout_fraction": 0.7},
            seed=0,
        ),
        unseen_task(("treatment",)),
    ),
    raw=Shape(218_331, 23_712, 249),
    curated=Shape(218_331, 9_140, 249),
    published=Shape(218_331, None, 249),
)
