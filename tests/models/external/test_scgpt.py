from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from external_tools import DATA
from scipy import sparse
from tiny_curated import write

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.external.scgpt import KEY, ScgptSettings, embed, embed_curated
from perturbench_lamin.models.external.scgpt_figure import embedding_figure

PYTHON = os.environ.get("SCGPT_PYTHON", "")
"""An interpreter that has the scgpt package; without it the tests of the package are skipped."""
needs_scgpt = pytest.mark.skipif(not PYTHON, reason="needs SCGPT_PYTHON, an interpreter with scgpt")

RANDOM_WEIGHTS = """
import json, sys, torch
from pathlib import Path
from scgpt.model import TransformerModel
from scgpt.tokenizer import GeneVocab
folder = Path(sys.argv[1])
vocab = GeneVocab.from_file(folder / "vocab.json")
c = json.loads((folder / "args.json").read_text())
torch.manual_seed(0)
model = TransformerModel(len(vocab), c["embsize"], c["nheads"], c["d_hid"], c["nlayers"], c["n_layers_cls"], 1, vocab,
    c["dropout"], c["pad_token"], c["pad_value"], do_mvc=True, use_fast_transformer=False)
torch.save(model.state_dict(), folder / "best_model.pt")
"""

FAKE_SCGPT = """
import numpy as np
def embed_data(cells, weights, gene_col, max_length, batch_size, device, use_fast_transformer):
    assert gene_col == "symbol" and list(cells.var["symbol"])[:2] == ["gene0", "gene1"]
    total = np.asarray(cells.X.sum(1))
    cells.obsm["X_scGPT"] = np.hstack([total, np.full_like(total, max_length)])
    return cells
"""


@pytest.fixture
def weights(tmp_path) -> Path:
    """A tiny model with weights of no meaning, in the published layout."""
    folder = tmp_path / "weights"
    folder.mkdir()
    names = ["<pad>", "<cls>", "<eoc>", *DATA.genes[:20]]
    (folder / "vocab.json").write_text(json.dumps({name: place for place, name in enumerate(names)}))
    config = {"embsize": 16, "nheads": 2, "d_hid": 16, "nlayers": 1, "n_layers_cls": 1, "dropout": 0.0}
    (folder / "args.json").write_text(json.dumps(config | {"pad_token": "<pad>", "pad_value": -2}))
    (folder / "best_model.pt").write_bytes(b"")
    return folder


@pytest.fixture
def fake_python(tmp_path) -> str:
    """An interpreter with a package scgpt that does little."""
    tasks = tmp_path / "site" / "scgpt"
    tasks.mkdir(parents=True)
    (tasks / "__init__.py").write_text("")
    (tasks / "tasks.py").write_text(FAKE_SCGPT)
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={tasks.parent} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_an_embedded_file_is_the_curated_one_with_the_embedding(tmp_path, weights, fake_python):
    curated = write(DATA, tmp_path / "tiny.h5ad")
    settings = ScgptSettings(str(weights), fake_python, max_length=7)
    made = ad.read_h5ad(embed_curated(curated, settings, tmp_path / "embedded.h5ad"))
    before = ad.read_h5ad(curated)
    np.testing.assert_allclose(made.obsm[KEY][:, 0], before.layers["counts"].sum(1).A1, rtol=1e-5)
    assert (made.obsm[KEY][:, 1] == 7).all()
    assert (made.X != before.X).nnz == 0
    assert made.obs.equals(before.obs)
    assert embedding_figure(tmp_path / "embedded.h5ad").axes[0].get_xlabel() == "component 1"


@needs_scgpt
def test_the_package_embeds_counts(weights):
    subprocess.run([PYTHON, "-c", RANDOM_WEIGHTS, str(weights)], check=True, capture_output=True)
    counts = sparse.csr_matrix(np.rint(np.expm1(DATA.X.toarray()[:40])))
    found = [
        embed(counts, list(DATA.genes), ScgptSettings(str(weights), PYTHON, max_length=length, batch_size=8))
        for length in (10, 10, 40)
    ]
    assert found[0].shape == (40, 16)
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2]), "cells of more than 10 genes are sampled"


@needs_scgpt
def test_weights_that_would_run_code_do_not(weights, tmp_path):
    harm = tmp_path / "harm"
    code = f"import torch, os\nclass H:\n    def __reduce__(self): return os.mkdir, ({str(harm)!r},)\n"
    code += f"torch.save(H(), {str(weights / 'best_model.pt')!r})"
    subprocess.run([PYTHON, "-c", code], check=True, capture_output=True)
    with pytest.raises(InputError, match="scgpt failed"):
        embed(sparse.csr_matrix(np.ones((2, 20))), list(DATA.genes[:20]), ScgptSettings(str(weights), PYTHON))
    assert not harm.exists()


def test_what_is_not_at_hand(tmp_path, weights):
    counts = sparse.csr_matrix(np.ones((2, 3)))
    with pytest.raises(InputError, match=r"folder lacks args\.json"):
        embed(counts, ["A", "B", "C"], ScgptSettings(str(tmp_path)))
    with pytest.raises(InputError, match="No such interpreter"):
        embed(counts, ["A", "B", "C"], ScgptSettings(str(weights), "/nowhere/python"))


def test_without_the_package_it_says_how_to_get_it(tmp_path, weights):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c \"raise ImportError('no scgpt')\"\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match=r"no scgpt(.|\n)*external-models.md"):
        embed(sparse.csr_matrix(np.ones((2, 3))), ["A", "B", "C"], ScgptSettings(str(weights), str(program)))


def test_a_file_without_counts(tmp_path, weights):
    curated = write(DATA, tmp_path / "tiny.h5ad")
    cells = ad.read_h5ad(curated)
    del cells.layers["counts"]
    cells.write_h5ad(curated)
    with pytest.raises(InputError, match="No raw counts"):
        embed_curated(curated, ScgptSettings(str(weights)), tmp_path / "out.h5ad")
