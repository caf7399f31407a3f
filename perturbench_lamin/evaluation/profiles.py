"""Profiles: which metrics to compute, and by whose conventions where the sources disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from perturbench_lamin.errors import InputError, nearest

Ties = Literal["worse", "mid"]
TTest = Literal["t-test", "t-test_overestim_var"]
Alone = Literal["undefined", "zero"]
NoGenes = Literal["undefined", "zero"]


@dataclass(frozen=True)
class Conventions:
    """What the paper and its public code do differently.

    Attributes:
        ties: how another prediction at the same distance counts in a rank: ``worse`` (as ≤ in the paper's
            Eq. 2, so that a collapsed model scores 1.0) or ``mid`` (half, which is what breaking ties at
            random gives on average).
        alone: what the rank of the only condition of a covariate state is: ``undefined`` (left out, and counted) or
            ``zero``.
        n_components: principal components of the ``pca`` and ``pca_average`` aggregations.
        top_k: genes of the top-k recall.
        t_test: the test of the ``scores`` aggregation; ``t-test_overestim_var`` takes the group's size for
            the number of controls.
        no_genes: what overlap and precision are for a condition whose truth has no significant gene:
            ``undefined`` (left out, and counted) or ``zero`` (as cell-eval has it).
    """

    ties: Ties = "worse"
    alone: Alone = "undefined"
    n_components: int = 256
    top_k: int = 20
    t_test: TTest = "t-test"
    no_genes: NoGenes = "undefined"


PAPER = Conventions()
CODE = Conventions(ties="mid", alone="zero", n_components=100, top_k=50, t_test="t-test_overestim_var")
CHALLENGE = Conventions(no_genes="zero")


@dataclass(frozen=True)
class Profile:
    """A named selection of metrics.

    Attributes:
        name: what results say they were made by.
        metrics: names in the registry, in the order of the results.
        conventions: see :class:`Conventions`.
        description: one sentence for the reader of a table.
    """

    name: str
    metrics: tuple[str, ...]
    conventions: Conventions = field(default=PAPER)
    description: str = ""


_CORE = ("rmse_average", "rmse_average_rank", "cosine_logfc", "cosine_logfc_rank")
_CODE = (
    *_CORE,
    *("mse_average", "mae_average", "r2_score_average", "pearson_average", "cosine_average"),
    *("pearson_logfc", "pearson_logfc_rank", "cosine_pca_average", "cosine_pca_average_rank"),
    *("pearson_scores", "r2_score_scores", "top_k_recall_scores", "mmd_pca", "mmd_pca_rank"),
)
_CHALLENGE = ("overlap_at_N", "discrimination_score_l1", "mae_average")
"""The Virtual Cell Challenge's score is made of these three."""
_DE = (
    *(f"{kind}_at_{k}" for kind in ("overlap", "precision") for k in ("N", "50", "100", "200", "500")),
    *("de_direction_match", "de_spearman_lfc_sig", "de_sig_genes_recall", "de_spearman_sig", "pr_auc", "roc_auc"),
)
_FULL = (
    *_CORE,
    *("mse_average", "mae_average", "r2_average", "pearson_average", "cosine_average"),
    *("l2_average", "l2_average@expressed1000", "l2_average@de20", "l2_average@fdr0.05"),
    *("pearson_logfc", "pearson_logfc_rank", "cosine_pca_average", "cosine_pca_average_rank"),
    *("cosine_logp", "pearson_scores", "r2_scores", "top_k_recall_scores", "mmd_pca", "mmd_pca_rank"),
    *("pearson_delta_control", "pearson_delta_control@de20", "pearson_delta_perturbation_mean", "centroid_accuracy"),
    *("wmse_average", "wr2_delta_control", "wr2_delta_perturbation_mean"),
    *("discrimination_score_l1", "discrimination_score_l2", "discrimination_score_cosine", *_DE),
    *("pearson_edistance_pca", "nonadditive_recall", "nonadditive_auprc"),
)

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("perturbench", _CORE, PAPER, "The benchmark's main metrics, as its paper defines them."),
        Profile("perturbench-code", _CODE, CODE, "As the benchmark's public code computes them (December 2025)."),
        Profile("minimal", ("rmse_average", "cosine_logfc"), PAPER, "Two scores, no ranks."),
        Profile("full", _FULL, PAPER, "Every kind of metric of this package, in the papers' conventions."),
        Profile(
            "vcc", _CHALLENGE, CHALLENGE, "The three metrics of the Virtual Cell Challenge, as cell-eval computes them."
        ),
    )
}


def get_profile(profile: str | Profile) -> Profile:
    """The profile of that name; a :class:`Profile` is returned as it is.

    Raises:
        InputError: there is none.
    """
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise InputError(f"No profile {profile!r}", where="profile", fix=nearest(profile, PROFILES))
    return PROFILES[profile]
