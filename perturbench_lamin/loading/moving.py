"""Moving dataclasses of tensors to another device or precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def moved(batch: T, device: Any, **options: Any) -> T:
    """The same dataclass with its tensors on another device."""
    return _changed(batch, lambda tensor: tensor.to(device, **options))


def converted(batch: T, dtype: torch.dtype) -> T:
    """The same dataclass with its tensors of real numbers in another precision."""
    return _changed(batch, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def _changed(batch: T, change: Callable[[Tensor], Tensor]) -> T:
    values: dict[str, Tensor] = {}
    done: dict[int, Tensor] = {}  # a tensor may stand in two fields: change it once
    for item in fields(batch):  # type: ignore[arg-type]
        tensor = getattr(batch, item.name)
        if not isinstance(tensor, Tensor):
            continue
        if id(tensor) not in done:
            done[id(tensor)] = change(tensor)
        values[item.name] = done[id(tensor)]
    return replace(batch, **values)  # type: ignore[type-var]
