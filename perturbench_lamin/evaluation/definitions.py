"""The built-in metrics: measures applied to aggregations, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from perturbench_lamin.evaluation import differential as de
from perturbench_lamin.evaluation import energy, measures, weighted
from perturbench_lamin.evaluation.discrimination import DISTANCES, discrimination
from perturbench_lamin.evaluation.metric import Metric, RowFunction
from perturbench_lamin.evaluation.nonadditive import nonadditive_auprc, nonadditive_recall

INF = float("inf")
PERTURBENCH = "PerturBench, Wu et al. 2024, arXiv:2408.10609"
PERTURBENCH_CODE = "PerturBench's public code (December 2025)"
AHLMANN_ELTZE = "Ahlmann-Eltze, Huber & Anders 2025, Nature Methods"
MILLER = "Miller et al. 2025, well-calibrated metrics for perturbation prediction"
CELL_EVAL = "cell-eval 0.8, Arc Institute (Virtual Cell Challenge 2025)"
SYSTEMA = "Systema, Viñas Torné et al. 2025, Nature Biotechnology"


def _on(aggregation: str, measure: Metric, citation: str = "", reference: str = "none") -> Metric:
    """A measure applied to an aggregation."""
    return replace(
        measure,
        name=f"{measure.name}_{aggregation}",
        aggregation=aggregation,
        citation=citation or measure.citation,
        reference=reference,
    )


_RMSE = Metric(
    "rmse", "", measures.rmse, "√((1/G) Σ_g (μ̂_g − μ_g)²)", (0, INF), 0.0, False, PERTURBENCH,
    pairwise=measures.rmse_pairs,
)  # fmt: skip
_MSE = Metric(
    "mse", "", measures.mse, "(1/G) Σ_g (μ̂_g − μ_g)²", (0, INF), 0.0, False, PERTURBENCH,
    pairwise=measures.mse_pairs,
)  # fmt: skip
_MAE = Metric(
    "mae", "", measures.mae, "(1/G) Σ_g |μ̂_g − μ_g|", (0, INF), 0.0, False, PERTURBENCH,
    pairwise=measures.mae_pairs,
)  # fmt: skip
_R2 = Metric(
    "r2", "", measures.r2, "1 − Σ_g (μ_g − μ̂_g)² / Σ_g (μ_g − mean(μ))²", (-INF, 1), 1.0, True, PERTURBENCH,
    pairwise=measures.r2_pairs,
)  # fmt: skip
_R2_SWAPPED = Metric(
    "r2_score", "", measures.r2_swapped, "1 − Σ_g (μ_g − μ̂_g)² / Σ_g (μ̂_g − mean(μ̂))²: truth and prediction swapped",
    (-INF, 1), 1.0, True, PERTURBENCH_CODE, pairwise=measures.r2_swapped_pairs,
)  # fmt: skip
_PEARSON = Metric(
    "pearson", "", measures.pearson, "Pearson correlation over genes of μ and μ̂", (-1, 1), 1.0, True, PERTURBENCH,
    pairwise=measures.pearson_pairs,
)  # fmt: skip
_COSINE = Metric(
    "cosine", "", measures.cosine, "x·y / (‖x‖ ‖y‖), x from μ, y from μ̂", (-1, 1), 1.0, True, PERTURBENCH,
    pairwise=measures.cosine_pairs,
)  # fmt: skip
_TOP_K_RECALL = Metric(
    "top_k_recall", "", measures.top_k_recall, "|top k genes by |t| of truth ∩ of prediction| / k", (0, 1), 1.0, True,
    PERTURBENCH, options=("top_k",),
)  # fmt: skip
_MMD = Metric(
    "mmd", "", energy.energy, "E‖X−Y‖ − ½E‖X−X′‖ − ½E‖Y−Y′‖, Euclidean, over all pairs of cells (V-statistic)",
    (0, INF), 0.0, False, PERTURBENCH, pairwise=energy.energy_pairs,
)  # fmt: skip
_L2 = Metric(
    "l2", "", measures.l2, "√(Σ_g (μ̂_g − μ_g)²)", (0, INF), 0.0, False, AHLMANN_ELTZE, pairwise=measures.l2_pairs
)
_CENTROID_ACCURACY = Metric(
    "centroid_accuracy", "average", measures.centroid_accuracy, "(1/(p−1)) Σ_(j≠i) 1[‖μ̂_i − μ_j‖ > ‖μ̂_i − μ_i‖]",
    (0, 1), 1.0, True, SYSTEMA, constant_score=0.5, rankable=False, across=True,
)  # fmt: skip
_WMSE = Metric(
    "wmse", "", weighted.wmse,
    "Σ_g w_g (μ̂_g − μ_g)² / Σ_g w_g, w = ((|s| − min|s|) / (max|s| − min|s|))², s: t against the other perturbed cells",
    (0, INF), 0.0, False, MILLER, options=("weights",), rankable=False,
)  # fmt: skip
_WR2 = Metric(
    "wr2", "", weighted.wr2, "1 − Σ_g w_g (δ_g − δ̂_g)² / Σ_g w_g (δ_g − δ̄_w)², w as in wmse_average", (-INF, 1), 1.0,
    True, MILLER, options=("weights",), rankable=False,
)  # fmt: skip


def _discrimination(distance: str) -> Metric:
    return Metric(
        f"discrimination_score_{distance}", "delta_control", partial(discrimination, distance=distance),
        f"1 − (number of truths nearer, by {distance}, to μ̂_i − μ_c than truth i, ties half) / p, target genes removed",
        (0, 1), 1.0, True, CELL_EVAL, reference="control", options=("targets",), rankable=False, across=True,
        constant_text="½ + 1/(2p) on average",
    )  # fmt: skip


def _de(name: str, function: RowFunction, formula: str, **details: Any) -> Metric:
    """A metric of differential expression; what a prediction of no change scores stands in ``constant_text``."""
    given = {"range": (0.0, 1.0), "best": 1.0, "higher_is_better": True, "citation": CELL_EVAL, **details}
    return Metric(name, "de", function, formula=formula, reference="control", rankable=False, **given)


def _top_genes(k: int | None) -> Iterator[Metric]:
    suffix, words = ("N", "N = the number of {} significant genes") if k is None else (str(k), f"k = {k} at most")
    yield _de(
        f"overlap_at_{suffix}", partial(de.overlap, k=k),
        f"|top k of truth ∩ top k of prediction| / k, significant genes by |log2FC|, {words.format('the truth’s')}",
        options=("no_genes",),
    )  # fmt: skip
    yield _de(
        f"precision_at_{suffix}", partial(de.precision, k=k),
        f"|top k of truth ∩ top k of prediction| / k, significant genes by |log2FC|, {words.format('predicted')}",
        options=("no_genes",),
    )  # fmt: skip


_DE = (
    *(metric for k in (None, 50, 100, 200, 500) for metric in _top_genes(k)),
    _de("de_direction_match", de.direction_match, "share of true significant genes with sign(LFC) as predicted"),
    _de("de_sig_genes_recall", de.recall, "|significant in both| / |significant in truth|, FDR < 0.05"),
    _de("de_spearman_lfc_sig", de.spearman_lfc, "Spearman of log2FC over the true significant genes", range=(-1, 1)),
    _de(
        "de_spearman_sig", de.spearman_counts, "Spearman, over conditions, of the number of significant genes",
        range=(-1, 1), scope="state",
    ),
    _de("pr_auc", de.pr_auc, "average precision of −log10 FDR̂ for the true significant genes"),
    _de("roc_auc", de.roc_auc, "ROC-AUC of −log10 FDR̂ for the true significant genes", constant_score=None),
)  # fmt: skip


def _edistance(space: str) -> Metric:
    return Metric(
        f"pearson_edistance_{space}", f"edistance_{space}", measures.pearson_over_conditions,
        "Pearson, over conditions, of the energy distances 2E‖X−C‖ − E‖X−X′‖ − E‖C−C′‖ to the true controls",
        (-1, 1), 1.0, True, CELL_EVAL, reference="control", rankable=False, scope="state",
        constant_text="undefined",
    )  # fmt: skip


_NONADDITIVE = (
    Metric(
        "nonadditive_recall", "average", nonadditive_recall,
        "share of a pair’s m truly non-additive genes among its m largest |μ̂_AB − (μ_A + μ_B − μ_c)|",
        (0, 1), 1.0, True, AHLMANN_ELTZE, reference="control", options=("additive", "expressed"), rankable=False,
        across=True,
    ),
    Metric(
        "nonadditive_auprc", "average", nonadditive_auprc,
        "average precision of |μ̂_AB − (μ_A + μ_B − μ_c)| for the truly non-additive genes of all pairs",
        (0, 1), 1.0, True, AHLMANN_ELTZE, reference="control", options=("additive", "expressed"), rankable=False,
        scope="state",
    ),
)  # fmt: skip

BUILT_IN: tuple[Metric, ...] = (
    *(_on("average", measure) for measure in (_RMSE, _MSE, _MAE, _L2, _R2, _R2_SWAPPED, _PEARSON, _COSINE)),
    *(_on("logfc", measure, reference="control") for measure in (_COSINE, _PEARSON, _RMSE, _MSE, _MAE)),
    _on("logp", _COSINE, "PerturBench's public code (August 2024)", "control"),
    _on("pca_average", _COSINE),
    _on("pca", _MMD),
    _on("cells", _MMD),
    *(_on("scores", measure, reference="control") for measure in (_PEARSON, _R2, _R2_SWAPPED, _TOP_K_RECALL)),
    _on("delta_control", _PEARSON, AHLMANN_ELTZE, "control"),
    _on("delta_perturbation_mean", _PEARSON, SYSTEMA, "perturbation mean"),
    _CENTROID_ACCURACY,
    _on("average", _WMSE),
    _on("delta_control", _WR2, reference="control"),
    _on("delta_perturbation_mean", _WR2, reference="perturbation mean"),
    *(_discrimination(distance) for distance in DISTANCES),
    *_DE,
    *(_edistance(space) for space in ("pca", "cells")),
    *_NONADDITIVE,
)
