"""Give damaged tables, archives, checkpoints, journals and R files to their verbs and readers.

    python tests/fuzz/fuzz_tables.py --files 40 --seed 1        # 40 of each kind; or name kinds: metrics.csv best.ckpt

Each damaged file is read in a process of its own, forked from one that has imported what it needs. What is counted:

- same: exit 0 and the output of the undamaged file;
- other: exit 0 and another output, of a file that a strict reader takes too (a letter of a text without a checksum);
- refused: an error in a few lines that names the place;
- vague: an error without a place; traceback; crash: a signal; oversize: over 4 GiB; hang: over a minute;
- silent: exit 0 and another output of a file that a strict reader refuses, or that has a checksum.
"""

from __future__ import annotations

import argparse
import csv
import faulthandler
import gzip
import hashlib
import io
import json
import os
import signal
import tarfile
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.errors import PerturbenchError

LIMIT = 4 << 30
PATIENCE = 60
GOOD, BAD = ("same", "other", "refused"), ("vague", "traceback", "crash", "oversize", "hang", "silent")
PARTS = ("train", "train", "val", "test")
MODULES = (
    "pyarrow.parquet",
    "perturbench_lamin.cli.files",
    "perturbench_lamin.cli.predict",
    "perturbench_lamin.cli.train",
    "perturbench_lamin.comparison.unpack",
    "perturbench_lamin.evaluation.figure",
    "perturbench_lamin.evaluation.metrics_file",
    "perturbench_lamin.ingestion.seurat",
    "perturbench_lamin.loading.asked",
    "perturbench_lamin.models.embedding_file",
    "perturbench_lamin.models.linear",
    "perturbench_lamin.models.perturbation_mean",
    "perturbench_lamin.splitting.summary",
    "perturbench_lamin.splitting.tasks",
    "perturbench_lamin.training.config_file",
    "perturbench_lamin.training.fit",
    "perturbench_lamin.training.predict",
    "perturbench_lamin.training.search_space",
    "perturbench_lamin.training.study",
)
TRAINED = ("split.csv", "split.csv.gz", "best.ckpt")
KEYS = ["--covariate-key", "cell_type"]
TEXT_TRAPS = (b";", b"\t", b'"', b"\n", b"\r", b"\0", b"\xff", b",,", b"nan", b"1e999", b"\xef\xbb\xbf", b"\n\n", b"-")


@dataclass(frozen=True)
class Kind:
    """A file and what reads it.

    Attributes:
        name: of the file, whose ending says what it is.
        content: of the undamaged file.
        read: reads a path and returns text that says what was read.
        strict: whether a strict reader takes the bytes, where the file has no checksum of all that it says.
    """

    name: str
    content: bytes
    read: Callable[[Path], str]
    strict: Callable[[bytes], bool] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a damaged file: one of :data:`GOOD` or :data:`BAD`, and what was said."""

    kind: str
    name: str
    number: int
    said: str = ""


def strict_csv(content: bytes) -> bool:
    """Whether it is UTF-8 without NUL, of as many fields in every line."""
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return False
    return "\0" not in text and len({len(row) for row in rows}) <= 1


def strict_tar(content: bytes) -> bool:
    """Whether a tar file without compression is read to its end: its headers alone have checksums."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            members = archive.getmembers()
            return len(members) == 2 and not content[archive.offset :].strip(b"\0")
    except tarfile.TarError:
        return False


def anything(content: bytes) -> bool:
    """A file that says nothing of itself: whatever it holds is what was written."""
    return True


# ---- what is read


def verb(*arguments: str) -> None:
    """Run a verb as the installed command does; its errors are handed on."""
    from perturbench_lamin.cli.main import cli

    cli([*arguments], standalone_mode=False)


def hashed(*paths: Path) -> str:
    """One SHA-256 of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def read_obs_file(path: Path) -> str:
    out = path.with_name("made.csv")
    verb("split", str(path), "--task", "transfer", *KEYS, "--out", str(out))
    return hashed(out)


def read_metrics_file(path: Path) -> str:
    out = path.with_name("board.csv")
    verb("leaderboard", str(path), "--out", str(out))
    return hashed(out)


def read_genes_file(path: Path) -> str:
    from perturbench_lamin.curation.genes import GeneTable

    return GeneTable.read(path).table.to_csv()


def read_pairs_file(path: Path) -> str:
    from perturbench_lamin.conditions import ObsKeys
    from perturbench_lamin.loading.asked import read_pairs

    return str(read_pairs(path, ObsKeys(covariates=("cell_type",))))


def read_archive(path: Path) -> str:
    from perturbench_lamin.comparison.unpack import unpack_tar

    folder = path.with_name("unpacked")
    return str([(file.relative_to(folder), file.read_bytes()) for file in unpack_tar(path, folder)])


def read_packed(path: Path) -> str:
    from perturbench_lamin.comparison.unpack import unpacked

    with unpacked(path) as found:
        return hashed(found)


def read_r(path: Path) -> str:
    from perturbench_lamin.ingestion.seurat import read_seurat

    found = read_seurat(path)
    matrix = found.counts
    return f"{found.obs.to_csv()}{found.var.to_csv()}{matrix.shape}{matrix.toarray().tolist()}"


def read_journal(path: Path) -> str:
    import optuna

    from perturbench_lamin.training import study as studies

    study = studies.open_study(path, {"model": "linear"}, optuna.pruners.NopPruner())
    return str([(trial.number, trial.state, trial.values, trial.params) for trial in studies.counted(study)])


def read_configuration(path: Path) -> str:
    from perturbench_lamin.training.config_file import read_config

    return str(read_config(path))


def read_space_file(path: Path) -> str:
    from perturbench_lamin.training.search_space import read_space

    return str(read_space(path, "linear"))


def read_npz(path: Path) -> str:
    from perturbench_lamin.models.embedding_file import read_embedding

    found = read_embedding(path)
    return f"{found.names}{found.values.tolist()}{dict(found.about)}"


def trainer(curated: Path) -> Callable[[Path], str]:
    def read(path: Path) -> str:
        out = path.with_name("run")
        verb("train", str(curated), "--split", str(path), "--model", "perturbation_mean", "--out", str(out))
        return hashed(out / "history.csv")

    return read


def predictor(curated: Path, split: Path) -> Callable[[Path], str]:
    def read(path: Path) -> str:
        out = path.with_name("prediction.h5ad")
        verb("predict", str(path), "--curated", str(curated), "--split", str(split), "--out", str(out))
        found = ad.read_h5ad(out)
        return f"{found.obs.to_csv()}{list(found.var_names)}{np.asarray(found.X).tolist()}"

    return read


# ---- undamaged files


def cells(seed: int = 0) -> ad.AnnData:
    """Log-normalised cells of a small screen: two cell types, a control and four conditions."""
    rng = np.random.default_rng(seed)
    obs = [(c, s) for s in ("K562", "RPE1") for c in ("control", "G1", "G2", "G3", "G4") for _ in range(12)]
    counts = sp.csr_matrix(rng.poisson(2.0, (len(obs), 20)).astype(np.float32))
    table = pd.DataFrame(obs, columns=["condition", "cell_type"], index=[f"c{i}" for i in range(len(obs))])
    return ad.AnnData(counts, table, pd.DataFrame(index=[f"G{i}" for i in range(20)]))


def metrics() -> pd.DataFrame:
    rows = [
        ("combine", model, seed, state, condition, "rmse_average", 0.1 * seed + len(model) / 30)
        for model in ("linear", "additive")
        for seed in (1, 2)
        for state in ("K562", "RPE1")
        for condition in ("G1", "G1+G2")
    ]
    return pd.DataFrame(rows, columns=["task", "model", "seed", "cell_type", "condition", "metric", "value"])


def kinds(folder: Path, names: Sequence[str] = ()) -> Iterator[Kind]:
    """Kinds of files, undamaged.

    Args:
        folder: for what the files are made of.
        names: those that are wanted; all where empty.
    """
    screen = cells()
    text = screen.obs.to_csv().encode()
    for name, content in {"obs.csv": text, "obs.tsv": screen.obs.to_csv(sep="\t").encode()}.items():
        yield Kind(name, content, read_obs_file, strict_csv if name.endswith("csv") else strict_tsv)
    yield Kind("obs.csv.gz", gzip.compress(text, mtime=0), read_obs_file)
    yield Kind("metrics.csv", metrics().to_csv(index=False).encode(), read_metrics_file, strict_csv)
    yield Kind("metrics.parquet", parquet(metrics(), folder), read_metrics_file)
    genes = "".join(f"ENSG{i:011},G{i},{i % 5},{100 + i},protein_coding\n" for i in range(40)).encode()
    yield Kind("genes.csv", genes, read_genes_file, strict_csv)
    yield Kind("genes.csv.gz", gzip.compress(genes, mtime=0), read_genes_file)
    yield Kind("pairs.csv", b"condition,cell_type\nG1,K562\nG2,RPE1\n", read_pairs_file, strict_csv)
    for mode in ("w:gz", "w:bz2", "w:xz", "w"):
        name = "deposit.tar" + mode[1:].replace(":", ".")
        yield Kind(name, deposit(mode), read_archive, strict_tar if mode == "w" else None)
    yield Kind("cells.h5ad.gz", gzip.compress(text * 9, mtime=0), read_packed)
    packed = seurat_rds(screen, folder)
    yield Kind("object.rds", packed, read_r)
    yield Kind("plain.rds", gzip.decompress(packed), read_r, anything)
    yield Kind("study.journal", journal(folder), read_journal, torn_alone(folder))
    yield Kind(
        "config.yaml", b"model: linear\nseed: 3\nhyperparameters: {lr: 1e-3, wd: 1e-8}\n", read_configuration, anything
    )
    yield Kind(
        "space.json", b'{"lr": {"low": 1e-4, "high": 0.1, "log": true}, "wd": [0, 1e-8]}', read_space_file, anything
    )
    yield Kind("embedding.npz", embedding(folder), read_npz)
    if not names or {*names} & {*TRAINED}:
        yield from trained(screen, folder)


def strict_tsv(content: bytes) -> bool:
    """As :func:`strict_csv`, of tabs."""
    return b"," not in content and strict_csv(content.replace(b"\t", b","))


def parquet(table: pd.DataFrame, folder: Path) -> bytes:
    from perturbench_lamin.evaluation.result import write_table

    return write_table(table, folder / "metrics.parquet").read_bytes()


def deposit(mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name in ("combine.csv", "splits/transfer.csv"):
            info = tarfile.TarInfo(name)
            info.size = 600
            archive.addfile(info, io.BytesIO((name * 60).encode()[:600]))
    return out.getvalue()


def seurat_rds(screen: ad.AnnData, folder: Path) -> bytes:
    from perturbench_lamin.simulation.rds_writer import write_rds
    from perturbench_lamin.simulation.seurat_values import seurat

    obs = screen.obs.astype("category")
    return write_rds(folder / "a.rds", seurat(screen.X, obs, list(screen.var_names))).read_bytes()


def journal(folder: Path) -> bytes:
    import optuna

    from perturbench_lamin.training import study as studies

    path = folder / "study.journal"
    study = studies.open_study(path, {"model": "linear"}, optuna.pruners.NopPruner())
    space = {"lr": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)}
    for value in (3.0, 1.0, 2.0):
        trial = studies.next_trial(study, space, 10, 0, folder / "lock")
        study.tell(trial, value)
    return path.read_bytes()


def torn_alone(folder: Path) -> Callable[[bytes], bool]:
    """A journal may differ by what an interrupted write leaves: fewer lines, and half of one."""
    whole = (folder / "study.journal").read_bytes()

    def strict(content: bytes) -> bool:
        return whole.startswith(content[: content.rfind(b"\n") + 1])

    return strict


def embedding(folder: Path) -> bytes:
    from perturbench_lamin.models.embedding_file import Embedding, write_embedding

    values = np.random.default_rng(0).normal(size=(20, 4))
    table = Embedding(tuple(f"G{i}" for i in range(20)), values, about={"model": "a"})
    return write_embedding(folder / "a.npz", table).read_bytes()


def trained(screen: ad.AnnData, folder: Path) -> Iterator[Kind]:
    """A split and a checkpoint, with the curated file that they belong to."""
    from perturbench_lamin.splitting.io import write_split

    raw, curated, split, run = (folder / name for name in ("raw.h5ad", "curated.h5ad", "split.csv", "run"))
    screen.write_h5ad(raw)
    out, parts = str(curated), str(split)
    quietly("preprocess", str(raw), *KEYS, "--hvg", "10", "--degs", "2", "--min-cells", "1", "--out", out)
    # Every condition in every part, so that any model trains.
    parts_of = pd.Series([PARTS[row % len(PARTS)] for row in range(screen.n_obs)], index=screen.obs_names)
    write_split(parts_of, split)
    yield Kind("split.csv", split.read_bytes(), trainer(curated), strict_csv)
    yield Kind("split.csv.gz", gzip.compress(split.read_bytes(), mtime=0), trainer(curated))
    settings = ["--set", "lr=0.01", "--max-epochs", "2"]
    quietly("train", out, "--split", parts, "--model", "linear", *settings, "--out", str(run))
    yield Kind("best.ckpt", (run / "best.ckpt").read_bytes(), predictor(curated, split))


def quietly(*arguments: str) -> None:
    """Run a verb that has to succeed."""
    outcome, said = in_own_process(lambda: verb(*arguments) or "", Path())
    if outcome != "read":
        raise RuntimeError(f"{arguments[0]}: {said}")


# ---- damage


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to three pieces of damage, never the same as before."""
    out = content
    while out == content:
        for _ in range(int(rng.integers(1, 4))):
            out = DAMAGES[int(rng.integers(len(DAMAGES)))](out, rng)
    return out


def _span(content: bytes, rng: np.random.Generator) -> slice:
    start = int(rng.integers(len(content) + 1))
    return slice(start, start + int(rng.geometric(0.1)))


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(max(len(content), 1)))
    return content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :] if content else content


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def drop(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(content, rng)
    return content[: span.start] + content[span.stop :]


def repeat(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(content, rng)
    return content[: span.stop] + content[span.start :]


def blank(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(content, rng)
    return content[: span.start] + bytes(len(content[span])) + content[span.stop :]


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    return content[:at] + TEXT_TRAPS[int(rng.integers(len(TEXT_TRAPS)))] + content[at:]


def largest(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    return (
        content[:at] + (b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff" * 8)[int(rng.integers(3))] + content[at + 4 :]
    )


def swap_separators(content: bytes, rng: np.random.Generator) -> bytes:
    return content.replace(b",", (b";", b"\t", b" ")[int(rng.integers(3))])


DAMAGES = (flip, flip, flip, cut, drop, repeat, blank, insert, insert, largest, swap_separators)


# ---- judging


def in_own_process(read: Callable[[], str], path: Path) -> tuple[str, str]:
    """What comes of a call in a forked process, and what it said or read."""
    with tempfile.NamedTemporaryFile() as said:
        child = os.fork()
        if not child:
            _child(read, Path(said.name), path)
        code, peak = _wait(child)
        answer = Path(said.name).read_text(errors="replace")
    if code is None:
        return "hang", ""
    if code < 0:
        return "crash", f"signal {-code}"
    kind, _, text = answer.partition("\n")
    return ("oversize" if peak > LIMIT else kind or "crash"), text


def _child(read: Callable[[], str], said: Path, path: Path) -> None:
    faulthandler.disable()  # a crash is counted, not shown
    sink = os.open(os.devnull, os.O_RDWR)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        answer = f"read\n{read()}"
    except PerturbenchError as error:
        short = len(str(error).splitlines()) <= 5 and "Traceback" not in str(error)
        answer = f"{'refused' if error.where is not None and short else 'vague'}\n{error}"
    except BaseException:
        answer = f"traceback\n{traceback.format_exc()}"
    said.write_text(answer, errors="replace")
    os._exit(0)


def _wait(child: int) -> tuple[int | None, int]:
    """The exit code (None where it took too long) and the peak of memory in bytes."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.wait4(child, 0)
    return None, 0


def judged(kind: Kind, content: bytes, expected: str) -> tuple[str, str]:
    """What came of one file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kind.name
        path.write_bytes(content)
        outcome, said = in_own_process(lambda: kind.read(path), path)
    if outcome != "read":
        return outcome, said
    if said == expected:
        return "same", ""
    return ("other", "") if kind.strict and kind.strict(content) else ("silent", said[:300])


def fuzz(names: Sequence[str], files: int, seed: int) -> Iterator[Outcome]:
    """Damage so many files of each kind, and tell what comes of each.

    Args:
        names: of the kinds; all where empty.
        files: of each kind.
        seed: of the damage; number ``n`` of a kind is the same whatever ``files`` is.
    """
    for module in MODULES:  # once, not in every process; without a call: threads do not survive a fork
        import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds(Path(folder), names):
            if names and kind.name not in names:
                continue
            with tempfile.TemporaryDirectory() as own:
                path = Path(own) / kind.name
                path.write_bytes(kind.content)
                outcome, expected = in_own_process(lambda read=kind.read, path=path: read(path), path)
            if outcome != "read":
                raise RuntimeError(f"The undamaged {kind.name}: {outcome} {expected}")
            for number in range(files):
                rng = np.random.default_rng([seed, number, *kind.name.encode()])
                outcome, said = judged(kind, damaged(kind.content, rng), expected)
                yield Outcome(outcome, kind.name, number, said)


def counted(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """How many of each kind of file came to what: kinds of files × :data:`GOOD` and :data:`BAD`."""
    table = pd.DataFrame([(one.name, one.kind) for one in outcomes], columns=["file", "kind"])
    return pd.crosstab(table["file"], table["kind"]).reindex(columns=[*GOOD, *BAD], fill_value=0)


def main() -> None:
    """Fuzz, print what was bad and how much there was of what."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--files", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="Show what was refused, too.")
    given = parser.parse_args()
    outcomes = []
    for outcome in fuzz(given.kinds, given.files, given.seed):
        outcomes.append(outcome)
        if outcome.kind in BAD or given.verbose:
            print(f"{outcome.kind}: {outcome.name} {outcome.number}: {outcome.said.strip()[-600:]}", flush=True)
    table = counted(outcomes)
    print(table.to_string())
    print(json.dumps(table.sum().to_dict()))
    raise SystemExit(int(table[list(BAD)].to_numpy().sum() > 0))


if __name__ == "__main__":
    main()
