"""Register a curated file and run the notebook that compares it with a deposit; in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from perturbench_lamin.chain.run import Chain, run_chain
from perturbench_lamin.chain.step import Step
from perturbench_lamin.lineage import keys
from perturbench_lamin.lineage.instance import local_instance
from perturbench_lamin.locks import only_one


def register(curated: Path, split: Path) -> None:
    """Save the curated file and its split as a run's outputs."""
    import lamindb as ln

    from perturbench_lamin.lineage import artifacts, runs
    from perturbench_lamin.lineage.features import save_features

    save_features()
    run = ln.Run(ln.Transform(key="curation/stand-in", kind="pipeline").save(), status="started").save()
    artifacts.save(curated, keys.curated("norman19"), "Curated", run=run)
    artifacts.save(split, keys.split("norman19", "combine"), "Split", run=run)
    runs.close(run, runs.Status.COMPLETED)


def main(curated: Path, split: Path, deposited: Path, folder: Path, notebooks: Path, params: dict) -> None:
    """Register, compare without and with the parameters, and tell what came of it."""
    instance = local_instance(folder)
    instance.connect()
    register(curated, split)
    steps = [
        Step(
            name,
            "evaluation/compare_deposited.ipynb",
            params={"dataset": "norman19", "curated": keys.curated("norman19"), **given},
            settings={"deposited_folder": str(deposited)},
            outputs=(keys.comparison("norman19"), keys.comparison("norman19", "html")),
        )
        for name, given in (("compare as published", {}), ("compare as accepted", params))
    ]
    with only_one(folder) as handle:
        refused, result = run_chain(Chain("compare", steps, instance, notebooks, handle))
    import lamindb as ln

    told = {"refused": [refused.state, refused.problem], "state": result.state, "problem": result.problem}
    if result.state == "done":
        run = ln.Run.get(uid=result.run)
        source = ln.Artifact.get(key=keys.deposited("norman19", "norman19_processed.h5ad.gz"))
        told |= {
            "inputs": sorted(artifact.key for artifact in run.input_artifacts.all()),
            "outputs": sorted(artifact.key for artifact in run.output_artifacts.all()),
            "found": json.loads(ln.Artifact.get(key=keys.comparison("norman19")).path.read_text()),
            "page": ln.Artifact.get(key=keys.comparison("norman19", "html")).path.read_text()[:200],
            "features": ln.Artifact.get(key=keys.comparison("norman19")).features.get_values(),
            "source": [source.run.transform.key, source.run.params, source.features.get_values()],
        }
    print("TOLD" + json.dumps(told, default=str))


if __name__ == "__main__":
    main(*(Path(path) for path in sys.argv[1:6]), params=json.loads(sys.argv[6]))
