"""A check on a GPU, in under eight minutes: do the models and scores agree with the CPU, and how fast are they?

Run ``python3 tests/gpu/gpu_check.py`` on the machine with the GPU, in a checkout, which need not be installed; what its
Python lacks may lie as wheels in ``.whl`` (``make gpu-wheels``). It writes ``docs/gpu.md``. ``--device cpu --tiny --out
FILE`` runs the same stages anywhere, to check the check. Each stage has a process and a time of its own: what fails
or takes too long leaves the others alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
"""By how much a loss, gradient, prediction or score may differ, relative to the largest value."""
LOADER_SHARE = 0.10
"""How much of a training step may be spent between the steps."""
TINY_WIDTHS = {"encoder_width": 16, "hidden_dim": 16, "hidden_dim_x": 16, "latent_dim": 4, "n_latent": 4}

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """What a stage is run with.

    Attributes:
        device: ``cuda`` or ``cpu``.
        tiny: whether everything is small.
        folder: for its files.
    """

    device: str
    tiny: bool
    folder: Path


def main(arguments: list[str] | None = None) -> int:
    """Run the stages, or one of them, and write the report. Returns 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small data and networks")
    parser.add_argument("--out", type=Path, help="the report  [default: docs/gpu.md with cuda, else standard output]")
    parser.add_argument("--wheels", type=Path, default=ROOT / ".whl", help="a folder of wheels to use, if it is there")
    parser.add_argument("--stage", choices=STAGES, action="append", help="run this one alone; may be repeated")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)  # the stage's own process writes them there
    given = parser.parse_args(arguments)
    if given.rows:
        with tempfile.TemporaryDirectory() as folder:
            rows = STAGES[given.stage[0]][0](Setting(given.device, given.tiny, Path(folder)))
        given.rows.write_text(json.dumps(rows))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        environment = with_packages(given.wheels, Path(folder))
        options = ["--device", given.device, *(["--tiny"] if given.tiny else [])]
        done = {name: in_its_own_process(name, options, environment) for name in given.stage or STAGES}
        facts = machine(given.device, environment)
    report = markdown(done, facts)
    out = given.out or (ROOT / "docs/gpu.md" if given.device == "cuda" and not given.tiny else None)
    if out:
        out.write_text(report, encoding="utf-8")
    print(report)
    return int(any(stage["failed"] for stage in done.values()))


def with_packages(wheels: Path, folder: Path) -> dict[str, str]:
    """An environment in which Python finds this checkout, what it asks of its own version, and the wheels."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    if found := sorted(map(str, wheels.glob("*.whl"))):
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([*pip, "--target", str(folder), *found], check=True)
    path = [str(ROOT), str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def in_its_own_process(name: str, options: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """A stage's rows, how long it took, and why it failed, empty if it did not."""
    print(f"{name} …", file=sys.stderr, flush=True)
    start, limit = time.perf_counter(), STAGES[name][1] * (12 if "--tiny" in options else 1)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, __file__, "--stage", name, "--rows", str(rows), *options]
        try:
            run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
            failed = "" if run.returncode == 0 else (run.stderr.strip().splitlines() or ["no word"])[-1]
        except subprocess.TimeoutExpired:
            failed = f"took more than {limit} s"
        found = json.loads(rows.read_text()) if rows.exists() else []
    failed = failed or "; ".join(f"{row['what']}: {row['failed']}" for row in found if row.get("failed"))
    return {"rows": found, "seconds": time.perf_counter() - start, "failed": failed}


def agreement(setting: Setting) -> Rows:
    """Loss and gradients of every built-in model on the device and on the CPU, from the same weights and noise."""
    from perturbench_lamin.models.registry import MODELS, model_class

    data, split = simulated(setting, cells=3_000, genes=500)
    path = write_curated(data, setting.folder / "curated.h5ad")
    rows = []
    for name in MODELS:
        compare = of_closed_form if model_class(name).epochs is not None else of_gradients
        rows.append({"what": name, **checked(lambda n=name, c=compare: c(n, data, split, path, setting))})
    return rows


def of_gradients(name: str, data: Any, split: Any, path: Path, setting: Setting) -> dict[str, Any]:
    """The largest differences of a model that gradients fit, without dropout."""
    import torch

    from perturbench_lamin.loading.datamodule import PerturbationData
    from perturbench_lamin.models.noise import FixedNoise
    from perturbench_lamin.models.registry import build, model_class

    kind = model_class(name)
    batches = PerturbationData(data, split, batch_size=500, seed=0, train_sampling=kind.train_sampling)
    batch = next(iter(batches.train_dataloader()))
    known = vars(kind.hyperparameters_type())
    values = {key: value * (1 if setting.tiny else 16) for key, value in TINY_WIDTHS.items() if key in known}
    values |= {"dropout": 0.0} if "dropout" in known else {}
    found = []
    for device in ("cpu", setting.device):
        torch.manual_seed(0)
        model = build(name, values, batches.vocabulary).train()
        model.noise = FixedNoise()
        model.to(device)
        loss = whole_loss(model, batch.to(device))
        loss.backward()
        gradients = {key: value.grad.cpu() for key, value in model.named_parameters() if value.grad is not None}
        found.append((loss.detach().cpu(), gradients))
    (expected, slopes), (loss, others) = found
    assert slopes.keys() == others.keys()
    return {
        "loss off by": difference(loss, expected),
        "gradients off by": max(difference(others[key], slopes[key]) for key in slopes),
    }


def whole_loss(model: Any, batch: Any) -> Any:
    """The loss; of CPA with its adversaries' parts too, so that each parameter has a gradient."""
    if model.name != "cpa":
        return model.loss(batch)
    terms, basal = model.rebuild(batch)
    adversary = model.adversary_terms(basal, batch)
    return sum(terms.values()) - adversary["cross_entropies"].sum() + adversary["penalties"].sum()


def of_closed_form(name: str, data: Any, split: Any, path: Path, setting: Setting) -> dict[str, Any]:
    """The largest difference of a baseline's predictions, fitted on each."""
    import torch

    from perturbench_lamin.training.config import TrainConfig
    from perturbench_lamin.training.fit import fit
    from perturbench_lamin.training.predict import PredictConfig, predict

    found = []
    for number, device in enumerate(("cpu", setting.device)):
        config = TrainConfig(name, batch_size=500, accelerator=device)
        fitted = fit(path, split, config, setting.folder / f"{name}-{number}", progress=False)
        asked = PredictConfig(kind="mean", accelerator=device)
        found.append(torch.from_numpy(predict(fitted.best_checkpoint, path, split, "val", config=asked).X))
    return {"predictions off by": difference(found[1], found[0])}


def speed(setting: Setting) -> Rows:
    """Training steps at the published sizes of norman19: cells a second, what is between the steps, memory."""
    from perturbench_lamin.loading.curated_file import CuratedFile
    from perturbench_lamin.models.published import published

    data, split = simulated(setting, cells=30_000, genes=5_600)
    file = CuratedFile(write_curated(data, setting.folder / "curated.h5ad"))
    models = ("linear", "latent_additive", "decoder_only", "cpa", "sams_vae", "biolord")
    rows = []
    for name in models:
        chosen = published(name, "norman19")
        size = 50 if setting.tiny else chosen.training["batch_size"]
        values = dict(chosen.hyperparameters)
        if setting.tiny:
            values |= {key: value for key, value in TINY_WIDTHS.items() if key in values}
        if name == "cpa":
            values["n_warmup_epochs"] = 0  # steps of the model and of its adversaries, in turn
        for precision in ("32-true", "bf16-mixed"):
            what = {"what": f"{name}, {precision}", "batch": size}
            row = checked(lambda n=name, v=values, p=precision, s=size: steps(n, v, p, s, file, split, setting))
            rows.append(what | row)
    return rows


def steps(
    name: str, values: dict[str, Any], precision: str, size: int, file: Any, split: Any, setting: Setting
) -> dict[str, Any]:
    """Some steps of a training as ``train`` has it."""
    import torch
    from step_clock import EnoughError, StepClock

    from perturbench_lamin.training.config import TrainConfig
    from perturbench_lamin.training.fit import fit

    on_gpu = setting.device == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    config = TrainConfig(name, values, max_epochs=50, batch_size=size, precision=precision, accelerator=setting.device)
    clock = StepClock(setting.device, steps=3 if setting.tiny else 60, seconds=12)
    with suppress(EnoughError):
        fit(file, split, config, setting.folder / f"{name}-{precision}", callbacks=[clock], progress=False)
    total = sum(clock.busy) + sum(clock.gaps)
    share = sum(clock.gaps) / total
    late = share > LOADER_SHARE and not setting.tiny
    return {
        "steps": len(clock.busy),
        "cells per second": round(size * len(clock.busy) / total),
        "between steps": f"{share:.1%}",
        "GPU memory (GiB)": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
        **({"failed": f"{share:.0%} of the time is between the steps"} if late else {}),
    }


def scores(setting: Setting) -> Rows:
    """``evaluate --device`` beside the CPU: the largest difference of a score, and the seconds of each."""
    import pandas as pd

    data, split = simulated(setting, cells=20_000, genes=3_000)
    part = (split == "val").to_numpy() | (split == "test").to_numpy()
    truth = write_curated(rows_of(data, part), setting.folder / "truth.h5ad")
    noisy = replace(data, X=data.X * 0.9)
    prediction = write_curated(rows_of(noisy, part), setting.folder / "prediction.h5ad")
    tables, seconds = [], []
    for device in ("cpu", setting.device):
        out = setting.folder / f"{len(tables)}.csv"
        options = ["--truth", truth, "--prediction", f"m={prediction}", "--profile", "perturbench-code", "--out", out]
        start = time.perf_counter()
        verb("evaluate", *options, "--covariate-key", "cell_type", "--device", device)
        seconds.append(time.perf_counter() - start)
        tables.append(pd.read_csv(out, float_precision="round_trip"))
    one, other = (table["value"].to_numpy() for table in tables)
    assert ((one == one) == (other == other)).all(), "the same scores are undefined"
    off = max(
        difference_of(tables[1].loc[rows.index, "value"], rows["value"]) for _, rows in tables[0].groupby("metric")
    )
    return [
        {
            "what": "evaluate, perturbench-code",
            **judged({"scores off by": off}),
            "CPU (s)": round(seconds[0], 1),
            f"{setting.device} (s)": round(seconds[1], 1),
        }
    ]


def command_line(setting: Setting) -> Rows:
    """``train`` of two epochs, killed after the first, ``train --resume``, and ``predict``."""
    import anndata as ad

    data, split = simulated(setting, cells=6_000, genes=1_000)
    curated, folder = write_curated(data, setting.folder / "curated.h5ad"), setting.folder / "run"
    parts = setting.folder / "split.csv"
    split.to_csv(parts, header=False)
    asked = ["--model", "latent_additive", "--preset", "quick", "--max-epochs", 2, "--accelerator", setting.device]
    train = ["train", curated, "--split", parts, *asked, "--out", folder]
    started = subprocess.Popen(command(*train), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while started.poll() is None and not (folder / "last.ckpt").exists():
        time.sleep(0.02)
    started.kill()
    words = started.communicate()[1]
    if not (folder / "last.ckpt").exists():
        raise RuntimeError(f"train: {words.strip().splitlines()[-1:]}")
    killed = not (folder / "result.json").exists()
    said = verb(*train, "--resume")
    out = setting.folder / "predictions.h5ad"
    verb("predict", folder / "best.ckpt", "--curated", curated, "--split", parts, "--out", out,
         "--accelerator", setting.device)  # fmt: skip
    cells = len(ad.read_h5ad(out, backed="r").obs)
    return [
        {"what": "train, killed after an epoch" if killed else "train, done before it could be killed"},
        {"what": "train --resume", "said": said.splitlines()[0]},
        {"what": "predict", "cells": cells},
    ]


def command(*arguments: object) -> list[str]:
    """The package's command."""
    code = "from perturbench_lamin.cli import main; main()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def verb(*arguments: object) -> str:
    """What a verb of the command line says; an error where it fails."""
    run = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{arguments[0]}: {' '.join(run.stderr.split())[-400:]}")
    return run.stdout


def checked(compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A row's values, or why there are none: one model's failure leaves the others alone."""
    try:
        return judged(compute())
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its differences for reading, and whether one is too large."""
    large = [name for name, value in row.items() if name.endswith("off by") and not value <= TOLERANCE]
    shown = {name: f"{value:.1e}" if name.endswith("off by") else value for name, value in row.items()}
    return shown | ({"failed": f"{' and '.join(large)} more than {TOLERANCE:g}"} if large else {})


def difference(found: Any, expected: Any) -> float:
    """The largest difference over the largest absolute value."""
    largest = float(expected.abs().max()) or 1.0
    return float((found - expected).abs().max()) / largest


def difference_of(found: Any, expected: Any) -> float:
    """:func:`difference` of the defined values of two columns."""
    defined = expected.notna()
    return difference(found[defined], expected[defined]) if defined.any() else 0.0


def simulated(setting: Setting, *, cells: int, genes: int) -> tuple[Any, Any]:
    """Cells of random expression, some genes named as perturbations, and a split."""
    import numpy as np
    import pandas as pd

    sys.path.append(str(ROOT / "tests/benchmarks"))
    import bench_loading

    if setting.tiny:
        cells, genes = 600, 40
    data = bench_loading.simulated(cells, genes, nonzeros=genes // 10, perturbations=8 if setting.tiny else 100)
    tokens = sorted(set(data.info.conditions["token"]))
    data = replace(data, genes=(*tokens, *data.genes[len(tokens) :]))
    place = data.obs.groupby(["condition", "cell_type"], observed=True).cumcount().to_numpy()
    parts = np.array(["train", "train", "val", "train", "test"], dtype=object)[place % 5]
    return data, pd.Series(parts, index=data.obs.index)


def rows_of(data: Any, chosen: Any) -> Any:
    """Some cells of curated data."""
    return replace(data, X=data.X[chosen], obs=data.obs[chosen])


def write_curated(data: Any, path: Path) -> Path:
    """Write curated data."""
    import anndata as ad
    import numpy as np
    import pandas as pd

    counts = data.X.copy()
    counts.data = np.ceil(np.expm1(counts.data))
    var = pd.DataFrame(index=pd.Index(data.genes))
    adata = ad.AnnData(data.X, obs=data.obs.copy(), var=var, layers={"counts": counts})
    adata.uns["perturbench"] = data.info.to_uns()
    adata.write_h5ad(path)
    return path


def machine(device: str, environment: dict[str, str]) -> dict[str, str]:
    """What it was run on."""
    code = (
        "import torch; print(torch.__version__); "
        f"print(torch.cuda.get_device_name() if {device == 'cuda'} and torch.cuda.is_available() else 'no GPU used')"
    )
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    torch_version, card = [*run.stdout.splitlines(), "unknown", "unknown"][:2]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": card,
        "torch": torch_version,
        "Python": platform.python_version(),
        "cores": str(os.cpu_count()),
    }


def markdown(stages: dict[str, dict[str, Any]], facts: dict[str, str]) -> str:
    """The report."""
    parts = [
        "# On a GPU\n\nWritten by `make gpu`. Differences are relative to the largest value; "
        f"{TOLERANCE:g} is allowed, and {LOADER_SHARE:.0%} of a training's time between its steps.\n",
        "; ".join(f"{name}: {fact}" for name, fact in facts.items()) + ".\n",
    ]
    for name, stage in stages.items():
        verdict = f"**Failed**: {stage['failed']}." if stage["failed"] else "Passed."
        parts.append(f"## {name.replace('_', ' ').capitalize()}\n\n{STAGES[name][0].__doc__}\n")
        parts.append(f"{verdict} {stage['seconds']:.0f} s.\n")
        parts += [table(stage["rows"])] if stage["rows"] else []
    return "\n".join(parts)


def table(rows: Rows) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines: Iterator[list[str]] = (["" if row.get(n) is None else str(row[n]) for n in names] for row in rows)
    return "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *lines]) + "\n"


STAGES: dict[str, tuple[Callable[[Setting], Rows], int]] = {
    "agreement": (agreement, 100),
    "speed": (speed, 200),
    "scores": (scores, 80),
    "command_line": (command_line, 80),
}
"""Each stage, and how many seconds it may take: together less than eight minutes."""

if __name__ == "__main__":
    sys.exit(main())
