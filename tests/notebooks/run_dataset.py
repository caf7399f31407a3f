"""Ingest and curate one dataset on a new instance, and say what came of it; run in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.chain.benchmark import BenchmarkConfig, benchmark_steps
from perturbench_lamin.chain.run import Chain, run_chain
from perturbench_lamin.lineage.instance import local_instance
from perturbench_lamin.locks import only_one


def main(name: str, raw: Path, folder: Path, notebooks: Path, curation: dict) -> None:
    """Run the first two steps of the dataset's benchmark."""
    dataset = get_dataset(name)
    config = BenchmarkConfig(curation=curation, simulated=True, raw_folder=raw)
    steps = benchmark_steps(dataset, config, folder / "raw")[:2]
    with only_one(folder) as handle:
        results = run_chain(Chain("test", steps, local_instance(folder), notebooks, handle))
    import lamindb as ln

    artifacts = ln.Artifact.filter(is_latest=True).exclude(key=None)
    told = {
        "states": {result.step.name: result.state for result in results},
        "problems": [result.problem for result in results if result.problem],
        "paths": {artifact.key: str(artifact.path) for artifact in artifacts},
        "simulated": {a.key: a.features.get_values().get("simulated") for a in artifacts},
        "params": [run.params for run in ln.Run.filter(transform__key=f"curation/curate_{name}.ipynb")],
    }
    print("TOLD" + json.dumps(told, default=str))


if __name__ == "__main__":
    main(sys.argv[1], *(Path(path) for path in sys.argv[2:5]), curation=json.loads(sys.argv[5]))
