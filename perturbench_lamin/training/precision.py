"""Double precision for batches that are frozen dataclasses, which Lightning's own cannot convert."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.plugins.precision import DoublePrecision

from perturbench_lamin.loading.moving import converted


class DoubleBatches(DoublePrecision):
    """``64-true``."""

    def convert_input(self, data: Any) -> Any:
        """The batch in float64."""
        return converted(data, torch.float64)
