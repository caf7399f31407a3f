"""Give damaged h5ad files to a verb and see that each is read as before or refused in one line.

    python tests/fuzz/fuzz_h5ad.py evaluate --files 600 --seed 1

A worker process runs the verb on one file after the other, so that hundreds take minutes; where it dies, the next one
goes on. What is counted:

- same: exit 0 and the output of the undamaged file;
- other: exit 0 and another output, on a file that a strict reader takes too (a bit of a value without a checksum);
- refused: a :class:`PerturbenchError` in one line that names a file;
- vague: one that does not; traceback: any other exception; crash: a signal; oversize: over 4 GiB; hang: over a minute;
- silent: exit 0 and another output, on a file that a strict reader refuses (anndata, scipy's check_format, and every
  piece of the file read, so that the checksums of its compression are compared).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from damage import damage  # noqa: E402 (run as a script, too)

LIMIT = 4 << 30
PATIENCE = 60.0
GOOD = ("same", "other", "refused")
BAD = ("vague", "traceback", "crash", "oversize", "hang", "silent")
KEYS = ["--covariate-key", "cell_type"]


@dataclass(frozen=True)
class Outcome:
    """What a verb did with a damaged file.

    Attributes:
        kind: one of :data:`GOOD` or :data:`BAD`.
        form: which way the undamaged file was written.
        number: of the damaged file, for :func:`damaged`.
        done: what the damage was.
        said: what the verb said.
    """

    kind: str
    form: str
    number: int
    done: str
    said: str = ""


# ---- undamaged files


def counts(seed: int = 0, cells: int = 90, genes: int = 40) -> ad.AnnData:
    """Cells of a small screen: two cell types, a control and three conditions."""
    rng = np.random.default_rng(seed)
    conditions = np.resize(["control", "G01", "G02", "G01+G02", "control"], cells)
    means = rng.gamma(1.0, 1.5, genes)
    X = rng.poisson(means * np.where(conditions == "control", 1.0, 1.6)[:, None])
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(conditions),
            "cell_type": pd.Categorical(np.repeat(["A", "B"], [cells // 2, cells - cells // 2])),
            "barcode": pd.array([f"BC{i}" for i in range(cells)], dtype="string"),
            "plate": pd.array(np.arange(cells) % 3, dtype="Int64"),
            "depth": rng.random(cells),
        },
        index=[f"c{i}" for i in range(cells)],
    )
    var = pd.DataFrame({"length": np.arange(genes)}, index=[f"G{i:02d}" for i in range(genes)])
    return ad.AnnData(sparse.csr_matrix(X.astype(np.float32)), obs, var)


def logarithms(adata: ad.AnnData) -> ad.AnnData:
    """log1p of counts scaled to 100 a cell."""
    made = adata.copy()
    X = adata.X.toarray()
    made.X = sparse.csr_matrix(np.log1p(X / X.sum(1, keepdims=True) * 100).astype(np.float32))
    return made


FORMS: Mapping[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "csr": (sparse.csr_matrix, {}),
    "csr gzip": (sparse.csr_matrix, {"compression": "gzip"}),
    "csc": (sparse.csc_matrix, {}),
    "csc lzf": (sparse.csc_matrix, {"compression": "lzf"}),
    "dense": (lambda X: X.toarray(), {}),
    "dense gzip": (lambda X: X.toarray(), {"compression": "gzip", "shuffle": True, "fletcher32": True}),
    "dense float16": (lambda X: X.toarray().astype(np.float16), {}),
    "csr float64": (lambda X: sparse.csr_matrix(X, dtype=np.float64), {"fletcher32": True, "chunks": (64,)}),
}


def write(adata: ad.AnnData, path: Path, form: str) -> Path:
    """Write a file in one of :data:`FORMS`."""
    make, options = FORMS[form]
    made = adata.copy()
    made.X = make(adata.X)
    ad.settings.allow_write_nullable_strings = True
    made.write_h5ad(path, convert_strings_to_categoricals=False)
    if options:
        _repack(path, options)
    return path


def _repack(path: Path, options: dict[str, Any]) -> None:
    """With filters that anndata passes on to none or to all."""
    with h5py.File(path, "r+") as file:
        names = [name for name in ("X", "X/data", "X/indices", "X/indptr") if isinstance(file.get(name), h5py.Dataset)]
        for name in names:
            values, kept = file[name][()], dict(file[name].attrs)
            del file[name]
            own = options | ({"chunks": True} if "chunks" in options and len(values) < 64 else {})
            file.create_dataset(name, data=values, **own).attrs.update(kept)


# ---- verbs


@dataclass(frozen=True)
class Verb:
    """How to run one.

    Attributes:
        forms: of the undamaged files.
        prepare: makes, in a folder, what else the verb needs; returns an undamaged file for a form.
        words: the command line for a damaged file in that folder, in some of its ways to be given.
        ways: how many there are.
    """

    forms: tuple[str, ...]
    prepare: Callable[[Path, str], Path]
    words: Callable[[Path, Path, int], list[str]]
    ways: int = 1


def _truth(folder: Path, form: str) -> Path:
    truth = logarithms(counts())
    truth.obs = truth.obs[["condition", "cell_type"]]
    truth.write_h5ad(folder / "truth.h5ad")
    return write(logarithms(counts(1)), folder / "good.h5ad", form)


def _raw(folder: Path, form: str) -> Path:
    return write(counts(), folder / "good.h5ad", form)


def _curated(folder: Path, form: str) -> Path:
    """A curated file, a split and a checkpoint."""
    from perturbench_lamin.conditions import ObsKeys
    from perturbench_lamin.curation.preprocess import preprocess_file
    from perturbench_lamin.curation.report import PreprocessParams

    path, params = folder / "good.h5ad", PreprocessParams(highly_variable=20, degs=3, min_cells=2)
    raw = write(counts(), folder / "raw.h5ad", "csr")
    preprocess_file(raw, path, ObsKeys("condition", ("cell_type",)), params)
    cells = ad.read_h5ad(path)
    if not (folder / "best.ckpt").exists():
        split = pd.Series("train", cells.obs_names)
        split[(cells.obs["condition"] == "control").to_numpy() & (np.arange(cells.n_obs) % 2 == 0)] = "test"
        split[((cells.obs["condition"] == "G02") & (cells.obs["cell_type"] == "B")).to_numpy()] = "test"
        split[((cells.obs["condition"] == "control") & (split == "train")).to_numpy() & (np.arange(90) % 3 == 0)] = (
            "val"
        )
        split[((cells.obs["condition"] == "G01") & (cells.obs["cell_type"] == "A")).to_numpy()] = "val"
        split.to_csv(folder / "split.csv", header=False)
        words = ["train", path, "--split", folder / "split.csv", "--out", folder / "run", "--model", "linear"]
        _call([str(word) for word in (*words, "--preset", "quick", "--max-epochs", "1", "--accelerator", "cpu")])
        shutil.copy(folder / "run" / "best.ckpt", folder / "best.ckpt")
    if form != "as made":
        write(cells, path, form)
    return path


VERBS: Mapping[str, Verb] = {
    "evaluate": Verb(
        tuple(FORMS),
        _truth,
        lambda folder, path, way: [
            "evaluate", *KEYS, "--device", "cpu", "--out", str(folder / "out.csv"),
            "--truth", str(path if way == 2 else folder / "truth.h5ad"),
            "--prediction", f"m={folder / 'truth.h5ad' if way == 2 else path}",
            "--profile", ("perturbench", "full", "perturbench")[way],
        ],
        ways=3,
    ),
    "preprocess": Verb(
        tuple(FORMS),
        _raw,
        lambda folder, path, way: [
            "preprocess", str(path), *KEYS, "--hvg", "20", "--degs", "3", "--min-cells", "2",
            "--out", str(folder / "out.h5ad"),
        ],
    ),
    "predict": Verb(
        ("as made", "csr gzip", "csc", "dense", "dense gzip"),
        _curated,
        lambda folder, path, way: [
            "predict", str(folder / "best.ckpt"), "--curated", str(path), "--split", str(folder / "split.csv"),
            "--other-data", "--accelerator", "cpu", "--out", str(folder / "out.h5ad"),
        ],
    ),
    "compare": Verb(
        tuple(FORMS),
        _raw,
        lambda folder, path, way: ["compare", str(folder / "good.h5ad"), str(path)],
    ),
}  # fmt: skip


# ---- the worker


def work(folder: Path, verb: str) -> None:
    """Run the verb on each file that the standard input names; answer with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        path, way = Path(json.loads(line)[0]), json.loads(line)[1]
        Path("/proc/self/clear_refs").write_text("5")  # the peak is of this file alone
        before = resource.getrlimit(resource.RLIMIT_AS)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2 * LIMIT, before[1]))
        kind, said = "strict", ""
        if verb == "strict":
            kind, said = strictly(path)
        else:
            kind, said = _outcome(folder, VERBS[verb].words(folder, path, way), path)
        resource.setrlimit(resource.RLIMIT_AS, before)
        answers.write(json.dumps({"kind": "oversize" if _peak() > LIMIT else kind, "said": said}) + "\n")
        answers.flush()


def _peak() -> int:
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM"))


def _outcome(folder: Path, words: list[str], path: Path) -> tuple[str, str]:
    from perturbench_lamin.errors import PerturbenchError

    for left in folder.glob("out.*"):
        left.unlink()
    try:
        said = _call(words)
    except PerturbenchError as error:
        text = str(error)
        return ("refused" if str(folder) in text and "\n" not in str(error.what) else "vague"), text
    except BaseException as error:
        return "traceback", "".join(traceback.format_exception(error)[-4:])
    return "done", said.replace(str(path), "") + "".join(map(_digest, sorted(folder.glob("out.*"))))


def _call(words: list[str]) -> str:
    """Run a verb; what it printed and how it ended."""
    import click

    from perturbench_lamin.cli.main import cli

    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli(words, standalone_mode=False)
        except click.exceptions.Exit as error:
            code = error.exit_code
        except SystemExit as error:  # compare, of files that differ
            code = int(error.code or 0)
    return f"{printed.getvalue()}\nexit {code}\n"


def _digest(path: Path) -> str:
    """Of a file's content, but for the words of a prediction about the file that it was made from."""
    if path.suffix != ".h5ad":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    with h5py.File(path) as file:
        for name in sorted(_arrays(file)):
            if not name.startswith("uns/prediction"):
                values = file[name][()]
                plain = values.tolist() if np.asarray(values).dtype == object else np.asarray(values).tobytes()
                total.update(f"{name} {plain!r}".encode())
    return total.hexdigest()


def _arrays(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def strictly(path: Path) -> tuple[str, str]:
    """Whether anndata, scipy and HDF5 itself take the whole file."""
    try:
        with h5py.File(path) as file:
            file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)
            tables = {name: ad.io.read_elem(file[name]) for name in file if name not in ("X", "layers", "raw")}
            shape = len(tables["obs"]), len(tables["var"])
            for name in (*({"X"} & file.keys()), *(f"layers/{layer}" for layer in file.get("layers", ()))):
                _require_matrix(file[name], shape)
            ad.AnnData(**{name: table for name, table in tables.items() if name in ("obs", "var", "obsm", "uns")})
    except BaseException as error:
        return "refuses", str(error).splitlines()[0] if str(error) else type(error).__name__
    return "takes", ""


def _require_matrix(element: Any, shape: tuple[int, int]) -> None:
    """A matrix by scipy's own checks, after what scipy cannot hold (other byte orders, float16) was converted."""
    if isinstance(element, h5py.Dataset):
        if element.shape != shape or element.dtype.kind not in "biuf":
            raise ValueError("dense")
        return
    make = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}[element.attrs["encoding-type"]]
    data, indices, indptr = (element[part][()] for part in ("data", "indices", "indptr"))
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu" or data.shape != indices.shape:
        raise ValueError("indices")
    if indptr[0] != 0 or indptr[-1] != len(data) or tuple(element.attrs["shape"]) != shape:
        raise ValueError("indptr")
    parts = data.astype(np.float64), indices.astype(np.int64), indptr.astype(np.int64)
    make(parts, shape=shape).check_format(full_check=True)


@dataclass
class Worker:
    """A process that runs one verb; made anew where it died."""

    folder: Path
    verb: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    def ask(self, path: Path, way: int = 0) -> dict[str, str]:
        """What it makes of a file, given in one of the verb's ways."""
        if self.process is None:
            words = [sys.executable, str(HERE / "fuzz_h5ad.py"), self.verb, "--worker", str(self.folder)]
            with (self.folder / f"{self.verb}.stderr").open("ab") as errors:
                self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([str(path), way]).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE * 3)
        answer = self.process.stdout.readline() if ready else b""
        if answer:
            return dict(json.loads(answer))
        kind = "crash" if ready else "hang"
        self.process.kill()
        code = self.process.wait()
        self.close()
        return {"kind": kind, "said": f"ended with {code}"}

    def close(self) -> None:
        """End the process."""
        if self.process is not None and self.process.stdin and self.process.stdout:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


# ---- the fuzz


def damaged(good: Path, number: int, seed: int, folder: Path) -> tuple[Path, str]:
    """The damaged file of a number: the same for the same seed."""
    path = folder / f"damaged{number}.h5ad"
    shutil.copy(good, path)
    return path, damage(path, np.random.default_rng([seed, number]))


def fuzz(verb: str, files: int, seed: int, folder: Path, progress: bool = False) -> list[Outcome]:
    """Damage files in every form and give them to a verb.

    Args:
        verb: one of :data:`VERBS`.
        files: how many.
        seed: of the damage.
        folder: an empty one, to work in.
        progress: whether to print each bad outcome when it is found.
    """
    outcomes: list[Outcome] = []
    forms = VERBS[verb].forms
    runner, strict = Worker(folder, verb), Worker(folder, "strict")
    try:
        for place, form in enumerate(forms):
            good = VERBS[verb].prepare(folder, form)
            clean, ways = Path(shutil.copy(good, folder / "clean.h5ad")), VERBS[verb].ways
            expected = [runner.ask(clean, way) for way in range(ways)]
            if any(answer["kind"] != "done" for answer in expected):
                raise RuntimeError(f"{verb} does not take the undamaged {form!r}: {expected}")
            for number in range(place, files, len(forms)):
                path, done = damaged(good, number, seed, folder)
                way = number // len(forms) % ways
                answer = runner.ask(path, way)
                kind = answer["kind"]
                if kind == "done":
                    same = answer["said"] == expected[way]["said"]
                    kind = "same" if same else "other" if strict.ask(path)["kind"] == "takes" else "silent"
                outcomes.append(Outcome(kind, form, number, done, answer["said"]))
                if progress and kind in BAD:
                    print(outcomes[-1], flush=True)
                path.unlink()
    finally:
        runner.close()
        strict.close()
    return outcomes


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=[*VERBS, "strict"])
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.verb)
        return 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        outcomes = fuzz(given.verb, given.files, given.seed, Path(name), progress=True)
    found = Counter(outcome.kind for outcome in outcomes)
    told = ", ".join(f"{kind} {found[kind]}" for kind in (*GOOD, *BAD))
    print(f"{given.verb}, {len(outcomes)} files, seed {given.seed}, {time.monotonic() - start:.0f} s: {told}")
    return int(any(found[kind] for kind in BAD))


if __name__ == "__main__":
    raise SystemExit(main())
