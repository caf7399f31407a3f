"""The notebooks of four datasets, run as a chain runs them, on simulated deposits in the real layouts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.curation.schema import open_curated
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.deposit import TRUTH_NAME
from perturbench_lamin.simulation.deposits import simulate_deposit
from perturbench_lamin.splitting.io import read_split
from perturbench_lamin.splitting.summary import split_summary

pytestmark = pytest.mark.chain

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("run_dataset.py")


def tiny(n_cells, n_singles):
    return SimulationConfig(n_cells=n_cells, n_genes=150, n_singles=n_singles, n_pairs=0, n_downstream=20)


def curate(name, folder, config, **curation):
    """Simulate, ingest and curate; what the runner told, the curated data, and every split."""
    raw = folder / "deposit"
    simulate_deposit(name, raw, config)
    environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("LAMIN_")}
    environment["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    command = [sys.executable, str(RUNNER), name, str(raw), str(folder / "instance"), str(ROOT), json.dumps(curation)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.split("TOLD")[1])
    assert told["states"] == {f"ingest {name}": "done", f"curate {name}": "done"}, told["problems"]
    adata, info = open_curated(told["paths"][f"curated/{name}.h5ad"])
    splits = {
        Path(key).stem: read_split(path, adata.obs_names)
        for key, path in told["paths"].items()
        if key.startswith("splits/")
    }
    assert told["simulated"][f"curated/{name}.h5ad"] is True
    assert info.dataset == name
    assert info.keys.covariates == get_dataset(name).covariates
    assert info.keys.delimiter is None
    return told, adata, info, splits


def truth(folder, name):
    return set(pd.read_csv(folder / "deposit" / name / TRUTH_NAME)["condition"])


def held_out_states(adata, info, split):
    table = split_summary(adata.obs, split, info.keys)
    table = table[table["split"].isin(["val", "test"]) & (table["conditions"] > 0)]
    return set(table[list(info.keys.covariates)].itertuples(index=False, name=None))


def test_srivatsan20(tmp_path):
    genes = tmp_path / "genes.csv"
    ids = [f"ENSG9{number:010d}" for number in range(1, 151)]
    renamed = [f"{identifier},NEW{place},1,1000,protein_coding" for place, identifier in enumerate(ids[:-10])]
    genes.write_text("\n".join(renamed) + "\n")
    told, adata, info, splits = curate(
        "srivatsan20", tmp_path, tiny(4_000, 12), highly_variable=60, gene_table=str(genes)
    )
    named = {name.replace("(+)-JQ1", "JQ1").strip() for name in truth(tmp_path, "srivatsan20")}
    named = {name.replace("ENMD-2076 L-(+)-Tartaric acid", "ENMD-2076") for name in named}
    assert set(adata.obs["condition"]) == {"control", *named}
    assert set(adata.obs["cell_type"]) == {"a549", "k562", "mcf7"}
    assert set(adata.obs.loc[adata.obs["condition"] != "control", "dose"]) == {10.0}
    assert set(adata.obs["dose_unit"]) == {"uM"}
    assert set(adata.obs["treatment"]) == {"none"}
    raw = pd.DataFrame(adata.obs[["deposited_ncounts", "ncounts"]])
    assert (raw["ncounts"] <= raw["deposited_ncounts"]).all(), "genes without a symbol are not counted"
    assert adata.var_names.str.startswith("NEW").all()
    assert adata.n_vars < 140
    assert told["params"][0]["gene_table"] == str(genes)
    assert held_out_states(adata, info, splits["transfer"]) == {("a549",), ("k562",), ("mcf7",)}
    assert {"transfer", "balance-100", "unseen"} <= set(splits)
    held = adata.obs["condition"][splits["unseen"].isin(["val", "test"]).to_numpy()]
    seen = adata.obs["condition"][(splits["unseen"] == "train").to_numpy()]
    assert set(held) & set(seen) == {"control"}


def test_frangieh21(tmp_path):
    _, adata, info, splits = curate("frangieh21", tmp_path, tiny(1_500, 8), highly_variable=60)
    assert adata.n_obs == 1_500
    assert set(adata.obs["condition"]) == {"control", *truth(tmp_path, "frangieh21")}
    assert set(adata.obs["treatment"]) == {"none", "co-culture", "IFNγ"}
    assert set(adata.obs["perturbation_type"]) == {"CRISPRko"}
    assert set(adata.obs["cell_type"]) == {"melanocyte"}
    assert truth(tmp_path, "frangieh21") <= set(adata.var_names), "perturbed genes are kept"
    assert adata.var["ensembl_id"].str.startswith("ENSG").all()
    assert held_out_states(adata, info, splits["transfer"]) == {("co-culture",)}
    assert set(splits) == {"transfer", "unseen"}


def test_jiang25(tmp_path):
    _, adata, info, splits = curate("jiang25", tmp_path, tiny(3_600, 8), highly_variable=60)
    assert adata.n_obs == 3_600
    assert set(adata.obs["condition"]) == {"control", *truth(tmp_path, "jiang25")}
    states = adata.obs[["cell_type", "treatment"]].drop_duplicates()
    assert len(states) == 30
    assert set(adata.obs["cell_type"]) == {"a549", "bxpc3", "hap1", "ht29", "k562", "mcf7"}
    blocks = adata.obs["treatment"].astype(str).to_numpy()
    assert list(dict.fromkeys(blocks)) == ["IFNB", "IFNG", "INS", "TGFB", "TNFA"]
    assert adata.obs_names.is_unique
    np.testing.assert_array_equal(adata.obs["ncounts"], adata.obs["nCount_RNA"])
    heldout = get_dataset("jiang25").task("transfer").parameters["heldout_states"]
    assert held_out_states(adata, info, splits["transfer"]) == set(heldout)
    assert not list((tmp_path / "instance" / "work").rglob("counts-*.h5ad")), "working files are removed"


def test_szalata24(tmp_path):
    _, adata, info, splits = curate("szalata24", tmp_path, tiny(6_000, 8), highly_variable=60)
    assert adata.shape == (6_000, 150), "the recipe 'reference' keeps every gene"
    assert set(adata.obs["condition"]) == {"control", *truth(tmp_path, "szalata24")}
    assert set(adata.obs.loc[adata.obs["condition"] == "control", "SMILES"]) == {"C[S+](C)[O-]"}
    smiles = adata.obs.drop_duplicates("condition").set_index("condition")["SMILES"]
    assert "[N+](=O)[O-]" in smiles["Flutamide"]
    assert (info.conditions.groupby("condition").size() == 1).all(), "no plus splits a condition"
    split = splits["transfer"]
    assert held_out_states(adata, info, split) == {("B cells",), ("Myeloid cells",)}
    perturbed = (adata.obs["condition"] != "control").to_numpy()
    deposited = adata.obs["split"].astype(str)
    for theirs, ours in {"public_test": "val", "private_test": "test", "train": "train"}.items():
        assert set(split[(deposited == theirs).to_numpy() & perturbed]) == {ours}
    assert set(split[(deposited == "control").to_numpy() & perturbed]) == {"train"}
    assert set(split[~perturbed]) == {"train", "val", "test"}
