"""The heavy kernels in torch, in double precision, for a GPU.

They promise what those of the processor do: equal rows give exactly 0 and equal inputs equal outputs, wherever they
stand, so that ties are ties. Products of rows are hence sums of their own, not matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse

PART_VALUES = 1 << 26
"""Values of the largest temporary array: half a gigabyte."""

CANCELLED = 1e-6
"""Where ‖x−y‖² is below this share of ‖x‖² + ‖y‖², it is computed from the difference."""

Term = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

TERMS: dict[str, Term] = {
    "squared": lambda x, y: (x - y).square_(),
    "absolute": lambda x, y: (x - y).abs_(),
    "product": lambda x, y: x * y,
}


class TorchKernels:
    """Kernels on one device; arrays come in and go out as numpy's.

    Args:
        device: of torch: ``cuda``, or ``cpu`` to test them where there is no GPU.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        model = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "torch"
        self.name = f"{device} ({model})"

    def all_pairs(self, term: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Σ_g term(a_ig, b_jg) of every row i of ``a`` and j of ``b``: rows of a × rows of b."""
        first, second = self._tensor(a), self._tensor(b)
        out = torch.empty((len(a), len(b)), dtype=torch.float64, device=self.device)
        self._sum_pairs(TERMS[term], first, second, out)
        return out.cpu().numpy()

    def mean_distances(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
        """Mean Euclidean distance between the cells of all pairs of groups: groups of first × groups of second."""
        groups = list(second)
        others, sizes = self._tensor(np.concatenate(groups)), [len(group) for group in groups]
        rows = [self._mean_to(self._tensor(group), others, sizes) for group in first]
        return np.asarray(torch.stack(rows).cpu().numpy())

    def paired_distances(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
        """Mean Euclidean distance between the cells of group i of both: (groups,)."""
        pairs = zip(first, second, strict=True)
        means = [self._mean_to(self._tensor(a), self._tensor(b), [len(b)]) for a, b in pairs]
        return np.asarray(torch.cat(means).cpu().numpy())

    def outer_products(self, n_genes: int) -> torch.Tensor:
        """An empty sum of outer products: genes × genes."""
        return torch.zeros((n_genes, n_genes), dtype=torch.float64, device=self.device)

    def add_outer_products(self, block: Any, gram: torch.Tensor) -> torch.Tensor:
        """Add Σ x xᵀ over the rows of a block (CSR or dense, cells × genes), and return the sum."""
        step = max(1, PART_VALUES // max(block.shape[1], 1))
        for start in range(0, block.shape[0], step):
            rows = self._dense(block[start : start + step])
            gram = gram.addmm_(rows.T, rows)
        return gram

    def largest_eigenvectors(self, gram: torch.Tensor, n: int, mean: np.ndarray, k: int) -> np.ndarray:
        """Of Σ x xᵀ − n m mᵀ: columns by rising eigenvalue, (genes × k)."""
        centre = self._tensor(mean)
        _, vectors = torch.linalg.eigh(gram.addr_(centre, centre, alpha=-float(n)))
        return np.asarray(vectors[:, -k:].cpu().numpy())

    def project(self, block: Any, components: np.ndarray) -> np.ndarray:
        """Products of rows (CSR or dense, cells × genes) with components (genes × components)."""
        directions = self._tensor(np.ascontiguousarray(components.T))
        out = torch.empty((block.shape[0], len(directions)), dtype=torch.float64, device=self.device)
        step = max(1, PART_VALUES // max(block.shape[1], 1))
        for start in range(0, block.shape[0], step):
            part = slice(start, start + step)
            self._sum_pairs(TERMS["product"], self._dense(block[part]), directions, out[part])
        return out.cpu().numpy()

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, dtype=np.float64), device=self.device)

    def _dense(self, block: Any) -> torch.Tensor:
        """Sparse rows are moved as they are and made dense there."""
        if not sparse.issparse(block):
            return torch.as_tensor(np.ascontiguousarray(block), device=self.device).double()
        dense = torch.zeros(block.shape, dtype=torch.float64, device=self.device)
        rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        places = (torch.as_tensor(rows), torch.as_tensor(block.indices.astype(np.int64)))
        values = torch.as_tensor(block.data, device=self.device).double()
        dense[tuple(place.to(self.device) for place in places)] = values
        return dense

    def _sum_pairs(self, term: Term, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        step = max(1, PART_VALUES // max(b.numel(), 1))
        for start in range(0, len(a), step):
            rows = a[start : start + step]
            torch.sum(term(rows[:, None, :], b[None, :, :]), dim=2, out=out[start : start + step])

    def _mean_to(self, cells: torch.Tensor, others: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """Mean distance from some cells to those of each group: (groups,)."""
        sums = torch.zeros(len(others), dtype=torch.float64, device=self.device)
        step = max(1, PART_VALUES // max(len(others), 1))
        for start in range(0, len(cells), step):
            sums += _distances(cells[start : start + step], others).sum(dim=0)
        lengths = torch.tensor(sizes, device=self.device)
        return torch.segment_reduce(sums, "sum", lengths=lengths) / (len(cells) * lengths)


def _distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Euclidean distances between rows: rows of a × rows of b."""
    scale = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)[None, :]
    squares = torch.addmm(scale, a, b.T, alpha=-2.0)
    close = (squares <= CANCELLED * scale).nonzero()
    for part in torch.split(close, max(1, PART_VALUES // max(a.shape[1], 1))):
        i, j = part.T
        squares[i, j] = (a[i] - b[j]).square().sum(dim=1)
    return squares.clamp_(min=0.0).sqrt_()
