"""The built-in metrics: measures applied to aggregations, as data."""

from __future__ import annotations

from dataclasses import replace

from perturbench_lamin.evaluation import energy, measures
from perturbench_lamin.evaluation.metric import Metric

INF = float("inf")
PERTURBENCH = "PerturBench, Wu et al. 2024, arXiv:2408.10609"
PERTURBENCH_CODE = "PerturBench's public code (December 2025)"
AHLMANN_ELTZE = "Ahlmann-Eltze, Huber & Anders 2025, Nature Methods"
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
_CENTROID_ACCURACY = Metric(
    "centroid_accuracy", "average", measures.centroid_accuracy, "(1/(p−1)) Σ_(j≠i) 1[‖μ̂_i − μ_j‖ > ‖μ̂_i − μ_i‖]",
    (0, 1), 1.0, True, SYSTEMA, constant_score=0.5, rankable=False,
)  # fmt: skip

BUILT_IN: tuple[Metric, ...] = (
    *(_on("average", measure) for measure in (_RMSE, _MSE, _MAE, _R2, _R2_SWAPPED, _PEARSON, _COSINE)),
    *(_on("logfc", measure, reference="control") for measure in (_COSINE, _PEARSON, _RMSE, _MSE, _MAE)),
    _on("pca_average", _COSINE),
    _on("pca", _MMD),
    *(_on("scores", measure, reference="control") for measure in (_PEARSON, _R2, _R2_SWAPPED, _TOP_K_RECALL)),
    _on("delta_control", _PEARSON, AHLMANN_ELTZE, "control"),
    _on("delta_perturbation_mean", _PEARSON, SYSTEMA, "perturbation mean"),
    _CENTROID_ACCURACY,
)
