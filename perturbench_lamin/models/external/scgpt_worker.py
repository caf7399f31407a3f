"""Embed cells with the scgpt package: run as a program, by an interpreter that has it.

It imports nothing of perturbench_lamin: scgpt needs an older torch than this package, so that it has an
environment of its own. Files go in and come out: ``counts.npz`` (cells × genes), ``genes.json`` (symbols) and
``settings.json`` in the folder that is its one argument, ``embedding.npy`` (cells × dimensions) beside them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

CELLS = 10_000
"""Cells at a time: scgpt makes their counts dense."""


def embedding(counts: sparse.csr_matrix, genes: list[str], settings: dict[str, Any]) -> np.ndarray:
    """scGPT's code of each cell (cells × dimensions, float32, of length 1)."""
    import anndata as ad
    import torch

    embed_data = importlib.import_module("scgpt.tasks").embed_data

    # With several loading processes the genes that are sampled from long cells would depend on their number.
    os.sched_getaffinity = lambda _: set()
    parts = []
    for start in range(0, counts.shape[0], CELLS):
        torch.manual_seed(settings["seed"] + start)  # which genes of a long cell are sampled
        np.random.seed(settings["seed"] + start)  # noqa: NPY002 - how equal counts are binned
        cells = ad.AnnData(counts[start : start + CELLS])
        cells.var["symbol"] = genes
        embedded = embed_data(
            cells,
            settings["weights"],
            gene_col="symbol",
            max_length=settings["max_length"],
            batch_size=settings["batch_size"],
            device=settings["device"],
            use_fast_transformer=settings["fast_transformer"],
        )
        parts.append(np.asarray(embedded.obsm["X_scGPT"], dtype=np.float32))
    return np.concatenate(parts)


def main(folder: Path) -> None:
    """Read what is in the folder, embed it, write the result beside it."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    genes = json.loads((folder / "genes.json").read_text(encoding="utf-8"))
    counts = sparse.csr_matrix(sparse.load_npz(folder / "counts.npz"))
    np.save(folder / "embedding.npy", embedding(counts, genes, settings), allow_pickle=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
