"""Begin a dataset outside the package: its file, its two notebooks, and the notebooks that all datasets share."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from perturbench_lamin.catalog.dataset import CHEMICAL, GENETIC
from perturbench_lamin.catalog.datasets import DATASETS, aliases
from perturbench_lamin.catalog.outside import FOLDER
from perturbench_lamin.errors import InputError
from perturbench_lamin.files import write_text

SHARED = ("ingestion/ingestion_genes.ipynb", "training/*.ipynb", "evaluation/*.ipynb")
REGISTRIES = {"cell_type": ["cell_line", "cell_type"], "treatment": ["compound", "cytokine", "hormone", "co-culture"]}
"""What explains the values of columns of these names; other columns are not looked up."""
NAME = re.compile("[a-z][a-z0-9]*")
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Layout:
    """How a deposited file is laid out.

    Attributes:
        raw_file: its name.
        perturbation: the column of perturbations.
        control: their value in control cells.
        delimiter: joins the parts of a combination there.
        covariates: column of the file → its name after curation.
        layer: of the counts; ``X`` for the matrix itself.
        task: the splitting method of the main task.
        system: how genes were perturbed, such as CRISPRi; empty for compounds.
    """

    raw_file: str
    perturbation: str
    control: str
    delimiter: str
    covariates: dict[str, str]
    layer: str
    task: str
    system: str


def new_dataset(name: str, folder: Path, layout: Layout, shared: Path) -> list[Path]:
    """Write what a dataset needs into a folder, from which ``run`` runs it.

    Args:
        name: the dataset's: lower-case letters and digits.
        folder: the project's.
        layout: of the deposited file.
        shared: the folder of the notebooks that all datasets share; they are copied where the project lacks them.

    Returns:
        The files that are to be read, and edited: the dataset's own.

    Raises:
        InputError: the name is none or is taken, or a file is there already.
    """
    _require_name(name)
    made = {
        folder / FOLDER / f"{name}.toml": "dataset.toml",
        folder / "ingestion" / f"ingestion_{name}.ipynb": "ingestion.ipynb",
        folder / "curation" / f"curate_{name}.ipynb": "curation.ipynb",
    }
    for path in made:
        if path.exists():
            raise InputError("The file is there already", where=path, fix="Edit it, or remove it first.")
    for path, template in made.items():
        write_text(path, _filled(template, name, layout))
    _copy_shared(shared, folder)
    return list(made)


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a dataset", where="NAME", fix="Take lower-case letters and digits.")
    if name in DATASETS or name in aliases():
        raise InputError(f"There is a dataset {name!r} already", where="NAME", fix="Take another name.")


def _copy_shared(shared: Path, folder: Path) -> None:
    for pattern in SHARED:
        for notebook in sorted(shared.glob(pattern)):
            target = folder / notebook.relative_to(shared)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copyfile(notebook, target)


def _filled(template: str, name: str, layout: Layout) -> str:
    text = files(__package__).joinpath("scaffold", f"{template}.template").read_text(encoding="utf-8")
    code, names = template.endswith(".ipynb"), list(layout.covariates.values())
    columns = {column: REGISTRIES[column] for column in names if column in REGISTRIES}
    in_layer = layout.layer != "X"
    plain = {
        "NAME": name,
        "RAW_FILE": layout.raw_file,
        "MATRIX_NAME": f"layers/{layout.layer}" if in_layer else "X",
        "INGESTION_UID": _uid(f"ingestion {name}"),
        "CURATION_UID": _uid(f"curation {name}"),
        "KIND": GENETIC if layout.system else CHEMICAL,
        "CONDITION": "gene" if layout.system else "compound",
        "SYSTEM": layout.system,
        "TASK": layout.task,
    }
    literals = {
        "PERTURBATION": json.dumps(layout.perturbation, ensure_ascii=False),
        "CONTROL": json.dumps(layout.control, ensure_ascii=False),
        "DELIMITER": json.dumps(layout.delimiter, ensure_ascii=False),
        "COVARIATES": json.dumps(list(layout.covariates), ensure_ascii=False),
        "MATRIX": json.dumps(f"layers/{layout.layer}" if in_layer else "X"),
        "LAYER": json.dumps(layout.layer),
        "COVARIATE_NAMES": json.dumps(names, ensure_ascii=False),
        "PARAMETERS": "{}",
        "COLUMNS": "{" + ", ".join(f"{column} = {json.dumps(kinds)}" for column, kinds in columns.items()) + "}",
    }
    for word, value in {**plain, **literals}.items():
        # a notebook is JSON: what stands in its code is escaped once more
        text = text.replace(f"@{word}@", json.dumps(value, ensure_ascii=False)[1:-1] if code else value)
    return text


def _uid(words: str) -> str:
    """Twelve letters and digits, the same for the same words: LaminDB's uid of a transform."""
    number = int.from_bytes(hashlib.sha256(words.encode()).digest())
    return "".join(LETTERS[number // len(LETTERS) ** place % len(LETTERS)] for place in range(12))
