"""What the verbs run and experiment share: of what data, which trainings, where, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.cli.command import bundle, under
from perturbench_lamin.cli.options import INSTANCE, assignments
from perturbench_lamin.cli.paths import FOLDER_IN
from perturbench_lamin.cli.training_options import MODEL_NAMES, PRESET
from perturbench_lamin.training.presets import PRESETS

if TYPE_CHECKING:
    from perturbench_lamin.chain.benchmark import BenchmarkConfig

ENSEMBL = "release-114"
"""The release that genes are named by where nothing else is asked for."""

_data, _model, _running = under("Data"), under("Model"), under("Running")


@dataclass(frozen=True)
class Subject:
    """The data of a chain, and what is trained on them.

    Attributes:
        raw: folder of raw files; None downloads them.
        genes: a gene table's file, or a release of Ensembl.
        curation: ``NAME=VALUE``, parameters of the curation notebook.
        tasks: names of tasks; none named means the main one, or the experiment's.
        models: names in the registry.
        seeds: to train with.
        preset: a preset's name.
    """

    raw: Path | None
    genes: str | None
    curation: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    preset: str

    def benchmark(self, models: tuple[str, ...], seeds: tuple[int, ...], **settings: Any) -> BenchmarkConfig:
        """The benchmark to run.

        Args:
            models: where none is named.
            seeds: where none is given.
            **settings: further fields of the benchmark's configuration.

        Raises:
            InputError: there is no such model.
        """
        from perturbench_lamin.chain.benchmark import BenchmarkConfig
        from perturbench_lamin.models.registry import model_class

        for model in self.models:
            model_class(model)
        return BenchmarkConfig(
            models=self.models or models,
            tasks=self.tasks,
            seeds=self.seeds or seeds,
            preset=self.preset,
            curation=assignments(self.curation, "--set"),
            raw_folder=self.raw,
            gene_table=self._gene_table(),
            **settings,
        )

    def _gene_table(self) -> Path | str | None:
        """The file or release that was named; by default a release where raw files are downloaded too."""
        if self.genes:
            return self.genes if self.genes.startswith("release-") else Path(self.genes)
        if self.raw is None:
            return ENSEMBL
        click.echo("No gene table (--genes FILE): genes keep the deposit's names and are not checked against Ensembl.")
        return None


@dataclass(frozen=True)
class Execution:
    """Where a chain runs, and how.

    Attributes:
        instance: a folder, or the slug of a connected instance; None for this checkout's.
        notebooks: their folder; this checkout's where None.
        force: run every step again.
        dry_run: show the steps and stop.
    """

    instance: str | None = None
    notebooks: Path | None = None
    force: bool = False
    dry_run: bool = False


subject_options = bundle(
    "subject",
    Subject,
    {
        "raw": _data("--raw", type=FOLDER_IN, help="Raw files, one subfolder a dataset, instead of the download."),
        "genes": _data(
            "--genes",
            metavar="FILE|RELEASE",
            help=f"Gene table: a file, or a release of Ensembl.  [default: {ENSEMBL} without --raw, none with it]",
        ),
        "curation": _data(
            "--set",
            "curation",
            multiple=True,
            metavar="NAME=VALUE",
            help="Parameter of the curation notebook, such as split_seed=7; may be given several times.",
        ),
        "tasks": _data(
            "--task",
            "tasks",
            multiple=True,
            metavar="NAME",
            help="Of the dataset; may be given several times.  [default: its main one, or the experiment's]",
        ),
        "models": _model(
            "--model", "models", multiple=True, metavar="NAME", help=f"{MODEL_NAMES}; may be given several times."
        ),
        "seeds": _model(
            "--seed",
            "seeds",
            multiple=True,
            metavar="N",
            type=click.IntRange(0),
            help="To train with; may be given several times.  [default: 1, 2; for winners of a search 1 to 4]",
        ),
        "preset": _model("--preset", type=click.Choice(PRESETS), default="quick", show_default=True, help=PRESET),
    },
)
"""The verb takes ``subject``."""

execution_options = bundle(
    "execution",
    Execution,
    {
        "instance": _running("--instance", **INSTANCE),
        "notebooks": _running(
            "--notebooks", type=FOLDER_IN, help="Folder with ingestion/, curation/, …  [default: this checkout]"
        ),
        "force": _running("--force", is_flag=True, help="Run every step again, although the lineage has it."),
        "dry_run": _running("--dry-run", is_flag=True, help="Show the steps and stop."),
    },
)
"""The verb takes ``execution``."""
