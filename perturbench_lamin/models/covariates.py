"""Where each covariate stands in the concatenated one-hot code, and joining that code to other inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from perturbench_lamin.loading.vocabulary import Vocabulary


def covariate_slices(vocabulary: Vocabulary, *, least_values: int = 1) -> dict[str, slice]:
    """Covariate → its columns in ``Batch.covariates``.

    Args:
        vocabulary: what the training cells contain.
        least_values: covariates with fewer values are left out.
    """
    slices, start = {}, 0
    for key, values in vocabulary.covariates.items():
        if len(values) >= least_values:
            slices[key] = slice(start, start + len(values))
        start += len(values)
    return slices


def join(values: Tensor, covariates: Tensor, inject: bool) -> Tensor:
    """The covariates' columns beside the values', where they are to be injected."""
    return torch.cat([values, covariates], dim=1) if inject else values
