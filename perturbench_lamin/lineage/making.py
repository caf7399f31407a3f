"""Make a local LaminDB instance aside, and put it in its place whole: what stands there is never touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from perturbench_lamin.errors import ChainError
from perturbench_lamin.lineage.lamin_settings import (
    TEMPLATE,
    LaminSettings,
    read_settings,
    require_writable,
    settings_folder,
    write_settings,
)
from perturbench_lamin.lineage.store import Store

MODULES = "bionty,pertdb"
USER = "current_user.env"

INIT = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
sys.argv[0] = "lamin"
runpy.run_module("lamin_cli", run_name="__main__")
"""
"""``lamin``, which ends when the pipe that its parent holds is closed: it does not outlive a killed parent."""


def make_store(target: Path, name: str) -> LaminSettings:
    """Make an instance whose store is ``target``, and make it known to LaminDB.

    It is made in a folder of its own, settings included, in ``.lamin`` beside ``target``. That folder is removed
    at the end; a kill leaves it behind, and nothing else.

    Args:
        target: where the store is to be: nothing, or an empty folder.
        name: LaminDB's name of the instance, without its owner.

    Raises:
        ChainError: LaminDB could not make it, or its settings cannot be written.
    """
    require_writable()
    aside = target.parent / ".lamin"
    aside.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="making-", dir=aside))
    try:
        settings = _init(made, target.name, name, target.parent)
        Store(made / target.name).settle(target)
        settings = LaminSettings({**settings.values, "storage_root": str(target)})
        write_settings(settings)
        (made / target.name).replace(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return settings


def _init(made: Path, store: str, name: str, folder: Path) -> LaminSettings:
    """Have LaminDB make an instance in ``made``, where nobody else's settings are."""
    settings = made / "settings" / ".lamin"
    settings.mkdir(parents=True)
    if (settings_folder() / USER).is_file():
        shutil.copyfile(settings_folder() / USER, settings / USER)
    kept = {key: value for key, value in os.environ.items() if key != "LAMIN_CURRENT_INSTANCE"}
    command = [sys.executable, "-c", INIT, "init", "--storage", store, "--name", name, "--modules", MODULES]
    ours, held = os.pipe()
    try:
        done = subprocess.run(
            command,
            cwd=made,
            env={**kept, "LAMIN_SETTINGS_DIR": str(settings.parent)},
            stdin=ours,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(held)
    slug = made / ".lamin" / "current_instance"
    found = read_settings(slug.read_text().strip(), settings) if not done.returncode and slug.is_file() else None
    if found is None:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ChainError(f"LaminDB could not make an instance: {said[-1] if said else done.returncode}", where=folder)
    return found


def make_known(store: Store, known: LaminSettings | None, slug: str) -> LaminSettings:
    """Give a store that was copied or moved a name of its own in LaminDB, and its own place.

    Args:
        store: it lies in another place than it or LaminDB says.
        known: what LaminDB knows of the instance that it came from, if anything.
        slug: the name.

    Raises:
        ChainError: the store cannot be written to or is damaged, or LaminDB's settings cannot be written.
    """
    owner, _, name = slug.partition("/")
    modules = (known.values["schema_str"] if known else "") or store.modules() or MODULES
    origin = known.values if known else {"id": store.mark().get("instance_id", ""), "schema_str": modules}
    settings = LaminSettings({**TEMPLATE, **origin, "owner": owner, "name": name, "storage_root": str(store.root)})
    require_writable()
    store.settle(store.root)
    write_settings(settings)
    return settings
