"""Curation, splits, models and metrics for single-cell perturbation-response prediction, with lineage.

The rooms follow the data: :mod:`~perturbench_lamin.ingestion`, :mod:`~perturbench_lamin.curation`,
:mod:`~perturbench_lamin.splitting`, :mod:`~perturbench_lamin.loading`, :mod:`~perturbench_lamin.models`,
:mod:`~perturbench_lamin.training`, :mod:`~perturbench_lamin.evaluation`, and around them
:mod:`~perturbench_lamin.lineage` and :mod:`~perturbench_lamin.chain`.
"""

__version__ = "0.1.0"
