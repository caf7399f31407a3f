"""A small model in the layout of scGPT's published weights, and an interpreter with a package that reads it.

With ``SCGPT_PYTHON`` set, an interpreter that has the real package, that one embeds instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

WIDTH = 16
REAL = os.environ.get("SCGPT_PYTHON", "")

PACKAGE = """
import json
from pathlib import Path
import numpy as np
import torch

def embed_data(cells, weights, gene_col, max_length, batch_size, device, use_fast_transformer):
    weights = Path(weights)
    vocab = json.loads((weights / "vocab.json").read_text())
    state = torch.load(weights / "best_model.pt", map_location="cpu")
    table = state["encoder.embedding.weight"]
    assert table.shape[1] == json.loads((weights / "args.json").read_text())["embsize"]
    known = [place for place, gene in enumerate(cells.var[gene_col]) if gene in vocab]
    rows = table[[vocab[cells.var[gene_col].iloc[place]] for place in known]]
    codes = torch.log1p(torch.from_numpy(cells.X[:, known].toarray())) @ rows
    cells.obsm["X_scGPT"] = torch.nn.functional.normalize(codes, dim=1).numpy()
    return cells
"""

WEIGHTS = """
import json, sys, torch
from pathlib import Path
folder, real = Path(sys.argv[1]), sys.argv[2] == "real"
names, c = (json.loads((folder / file).read_text()) for file in ("vocab.json", "args.json"))
torch.manual_seed(0)
if real:
    from scgpt.model import TransformerModel
    from scgpt.tokenizer import GeneVocab
    vocab = GeneVocab.from_file(folder / "vocab.json")
    state = TransformerModel(len(vocab), c["embsize"], c["nheads"], c["d_hid"], c["nlayers"], c["n_layers_cls"], 1,
        vocab, c["dropout"], c["pad_token"], c["pad_value"], do_mvc=True, use_fast_transformer=False).state_dict()
else:
    state = {"encoder.embedding.weight": torch.randn(len(names), c["embsize"])}
torch.save(state, folder / "best_model.pt")
"""


def make(folder: Path, genes: list[str]) -> tuple[Path, str]:
    """Write weights of no meaning for these genes, and say which interpreter can read them."""
    weights = folder / "weights"
    weights.mkdir(parents=True)
    names = ["<pad>", "<cls>", "<eoc>", *genes]
    (weights / "vocab.json").write_text(json.dumps({name: place for place, name in enumerate(names)}))
    config = {"embsize": WIDTH, "nheads": 2, "d_hid": WIDTH, "nlayers": 1, "n_layers_cls": 1, "dropout": 0.0}
    (weights / "args.json").write_text(json.dumps(config | {"pad_token": "<pad>", "pad_value": -2}))
    python = REAL or _interpreter(folder)
    command = [python, "-c", WEIGHTS, str(weights), "real" if REAL else "stand-in"]
    subprocess.run(command, check=True, capture_output=True)
    return weights, python


def _interpreter(folder: Path) -> str:
    package = folder / "site" / "scgpt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(PACKAGE)
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return str(program)
