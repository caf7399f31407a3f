"""Moving dataclasses of tensors to another device."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


def moved(batch: T, device: Any, **options: Any) -> T:
    """The same dataclass with its tensors on another device; a tensor that stands in two fields moves once."""
    values: dict[str, Tensor] = {}
    done: dict[int, Tensor] = {}
    for item in fields(batch):  # type: ignore[arg-type]
        tensor = getattr(batch, item.name)
        if not isinstance(tensor, Tensor):
            continue
        if id(tensor) not in done:
            done[id(tensor)] = tensor.to(device, **options)
        values[item.name] = done[id(tensor)]
    return replace(batch, **values)  # type: ignore[type-var]
