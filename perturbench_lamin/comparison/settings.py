"""How strict a comparison is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perturbench_lamin.errors import InputError

CellMatch = Literal["auto", "name", "content"]


@dataclass(frozen=True)
class CompareConfig:
    """Tolerances and options.

    Two values a and b agree within tolerance when ``|a − b| ≤ atol + rtol · max(|a|, |b|)``; both missing agree.
    Matrices and columns that hold whole numbers in both files are compared exactly.

    Attributes:
        rtol: relative tolerance; the default allows for float32 arithmetic in another order.
        atol: absolute tolerance.
        cells: how cells are matched: by ``name``, by the ``content`` of their counts, or ``auto``.
        common: judge only what both files have: a column, layer, split or uns entry that one side lacks is listed,
            but is no difference. Cells and genes always count.
        ignore: parts that are left out, of :data:`IGNORABLE`.
        examples: how many names or values are shown of each difference.
    """

    rtol: float = 1e-5
    atol: float = 1e-8
    cells: CellMatch = "auto"
    common: bool = False
    ignore: tuple[str, ...] = ()
    examples: int = 5

    def __post_init__(self) -> None:
        if not (0 <= self.rtol < 1 and 0 <= self.atol < float("inf")):
            raise InputError("A tolerance must be a small number, not negative", where="rtol, atol")


IGNORABLE = (
    "X", "counts", "layers", "raw", "obsm", "varm", "obsp", "varp", "obs", "var", "splits", "uns", "others",
)  # fmt: skip
