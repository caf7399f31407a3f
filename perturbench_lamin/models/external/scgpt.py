"""Cell embeddings of scGPT, from its own package, as ``obsm["X_scgpt"]`` of a curated file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import anndata as ad
import numpy as np
from scipy import sparse

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.files import atomic_path
from perturbench_lamin.models.external import scgpt_worker
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.writing import NewHDF5

KEY = "X_scgpt"
WEIGHTS = ("args.json", "best_model.pt", "vocab.json")
"""What a folder of scGPT's published weights holds."""


@dataclass(frozen=True)
class ScgptSettings:
    """How to embed.

    Attributes:
        weights: a folder with ``args.json``, ``best_model.pt`` and ``vocab.json``, such as scGPT's whole-human
            model; nothing is downloaded.
        python: an interpreter that has the scgpt package; empty for this one.
        max_length: genes of a cell at most; of a cell that expresses more, so many are sampled.
        batch_size: cells in a batch.
        seed: seed of that sampling.
        device: ``cpu``, or ``cuda`` (the CPU where there is none).
        fast_transformer: whether to use flash attention, as the published runs did.
    """

    weights: str
    python: str = ""
    max_length: int = 1200
    batch_size: int = 64
    seed: int = 0
    device: str = "cuda"
    fast_transformer: bool = False

    def require(self) -> None:
        """Check that weights and interpreter are there.

        Raises:
            InputError: some are not.
        """
        lacking = [name for name in WEIGHTS if not (Path(self.weights) / name).is_file()]
        if lacking:
            raise InputError(
                f"The folder lacks {some(lacking)}", where=self.weights, fix="Give a folder of scGPT's weights."
            )
        if self.python and shutil.which(self.python) is None:
            raise InputError("No such interpreter", where=self.python, fix="Give the python that has scgpt.")


def embed_curated(curated: str | Path, settings: ScgptSettings, out: str | Path) -> Path:
    """Copy a curated file and add scGPT's embedding of each cell's raw counts.

    Args:
        curated: a curated h5ad file; its ``layers["counts"]`` and gene symbols are embedded.
        settings: how.
        out: the file to write.

    Raises:
        InputError: weights or package are not at hand, or the file has no counts.
    """
    settings.require()
    with AnnDataFile(curated) as file:
        if "layers/counts" not in file:
            raise InputError("No raw counts", where=curated, fix='scGPT embeds layers["counts"]: curate the file.')
        counts = sparse.csr_matrix(file.matrix("layers/counts").whole())
        genes = list(file.var_table.names)
    embedding = embed(counts, genes, settings)
    with atomic_path(out) as temporary:
        shutil.copyfile(curated, temporary)
        with NewHDF5(temporary, "r+") as file:
            ad.io.write_elem(file.require_group("obsm"), KEY, embedding)
    return Path(out)


def embed(counts: sparse.csr_matrix, genes: list[str], settings: ScgptSettings) -> np.ndarray:
    """Embed cells in a process of the interpreter that has scgpt.

    Args:
        counts: raw counts, cells × genes.
        genes: their symbols; those that scGPT does not know are left out, as the package does.
        settings: how.

    Returns:
        cells × dimensions, float32, each of length 1.

    Raises:
        InputError: weights or interpreter are not at hand, or the program failed; its last words are told.
    """
    settings.require()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sparse.save_npz(folder / "counts.npz", counts.astype(np.float32), compressed=False)
        (folder / "genes.json").write_text(json.dumps(genes), encoding="utf-8")
        (folder / "settings.json").write_text(json.dumps(asdict(settings)), encoding="utf-8")
        _run(folder, settings)
        embedding = np.load(folder / "embedding.npy", allow_pickle=False)
    if embedding.shape[0] != counts.shape[0] or not np.isfinite(embedding).all():
        raise InputError(
            f"{embedding.shape[0]:,} embedded cells of {counts.shape[0]:,}, or values that are not finite",
            where="scgpt",
            fix="Check that the weights are whole and that each cell expresses genes of scGPT.",
        )
    return np.asarray(embedding, dtype=np.float32)


def _run(folder: Path, settings: ScgptSettings) -> None:
    # The weights are a torch file: read them as numbers, never run code of theirs.
    environment = os.environ | {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}
    environment.pop("PYTHONPATH", None)
    # By its text, not by its file: modules beside the file would hide packages of the same name.
    done = subprocess.run(
        [settings.python or sys.executable, "-", str(folder)],
        input=Path(scgpt_worker.__file__).read_text(encoding="utf-8"),
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        words = done.stderr.strip().splitlines()[-3:] or ["it said nothing"]
        raise InputError(
            f"scgpt failed: {' / '.join(words)}",
            where=settings.python or sys.executable,
            fix="Give in python an interpreter that has scgpt: docs/external-models.md says how to make one.",
        )
