"""The code that a notebook runs: the modules that it reaches, found by reading, not by running.

Imports are followed at any depth, those inside functions too; ``if TYPE_CHECKING:`` is not. A lazy export counts when
it is asked for by name. Of a module that imports by names known only when it runs, such as a registry of models, those
modules count that it names in a literal; where the step's parameters name some of them (``model="linear"``), only
those. Data files count that a module names, and the file of a project's dataset that the step names. What a kernel
really loaded is compared with this afterwards.

Modules of this package count, of packages that offer models, and those that lie beside the notebooks. Other packages do
not: a run's environment lists their versions, and ``reproduce`` tells which changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import re
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from perturbench_lamin.catalog import outside
from perturbench_lamin.chain import notebook as notebooks
from perturbench_lamin.chain.module import Module, parse

PACKAGE = "perturbench_lamin"
ALWAYS = ("perturbench_lamin.lineage.offline",)
"""Every kernel imports it: LaminDB calls it."""
PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""A class by its place, ``module:Class``."""
FILE_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")


@dataclass(frozen=True)
class CodeFiles:
    """The files that a step's code is in.

    Attributes:
        paths: module, or data file as ``package/file.csv``, → file.
    """

    paths: Mapping[str, Path]

    def digests(self) -> dict[str, str]:
        """Module or data file → digest: of a module, comments, docstrings and layout do not count.

        They do where some module looks at docstrings or sources.
        """
        modules = {name: parse(path.read_bytes()) for name, path in self.paths.items() if path.suffix == ".py"}
        by_text = any(module.reads_text for module in modules.values())
        return {
            name: _bytes_digest(path) if by_text or name not in modules else modules[name].digest
            for name, path in sorted(self.paths.items())
        }

    def outside(self) -> dict[str, Path]:
        """The files that are not of this package, by their place below the folder that they are imported from."""
        found = {name: path for name, path in self.paths.items() if not re.match(rf"{PACKAGE}\b", name)}
        return {name if "/" in name else _place(name, path): path for name, path in found.items()}

    def forget_bytecode(self) -> None:
        """Remove what Python compiled before a module was last written.

        Python takes its compiled file for the module's as long as size and time, in whole seconds, agree: after two
        edits within a second it would run the first.
        """
        for path in self.paths.values():
            compiled = Path(importlib.util.cache_from_source(str(path))) if path.suffix == ".py" else path
            if compiled != path and compiled.exists() and path.stat().st_ctime_ns >= compiled.stat().st_mtime_ns:
                with contextlib.suppress(OSError):
                    compiled.unlink(missing_ok=True)

    def stamps(self) -> dict[str, tuple[int, ...]]:
        """What changes whenever a file is written, even if its old content comes back."""
        return {name: _stamp(path) for name, path in self.paths.items()}


def package_root() -> Path:
    """The folder that this process imports the package from."""
    return Path(__file__).resolve().parents[2]


def total(digests: Mapping[str, str]) -> str:
    """One digest of :meth:`CodeFiles.digests`."""
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


def code_of(notebook: Path, parameters: Mapping[str, Any], root: Path | None = None) -> CodeFiles:
    """The code that a notebook runs with these parameters.

    Args:
        notebook: its file.
        parameters: as the step sets them; others have their defaults.
        root: the folder that the package lies in; this process's own by default.

    Raises:
        ChainError: it is not a readable notebook.
    """
    sources = notebooks.code(notebook, parameters)
    given = frozenset(_texts(parameters))
    words = given.union(*(parse(source.encode()).literals for source in sources))
    places = [place for name, place in _offered_models().items() if name in words]
    offered = {place.partition(":")[0] for place in (*places, *filter(PLACE.fullmatch, given))}
    others = {name.partition(".")[0] for name in offered} - {PACKAGE}
    folders = {name: folder for name in sorted(others) if (folder := _folder_of(name))}
    beside = (notebook.parent, notebook.parent.parent, *(one for one in folders.values() if not is_of_installed(one)))
    finder = Finder({PACKAGE: root or package_root(), **folders}, beside)
    found = reached(sources, finder, words, also=sorted(offered))
    return CodeFiles({**found.paths, **_datasets(words)}) if outside.__name__ in found.paths else found


def _datasets(words: frozenset[str]) -> dict[str, Path]:
    """The files of the project's datasets that a step names: they decide what it does, as the catalog's modules do."""
    return {f"{outside.FOLDER}/{path.name}": path for name, path in outside.dataset_files().items() if name in words}


def is_of_installed(folder: Path) -> bool:
    """Whether a folder is where Python has installed packages or its own library, and looks anyway."""
    return folder.resolve() in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")}


def _offered_models() -> dict[str, str]:
    """Models of other packages: name → ``"module:Class"``."""
    from perturbench_lamin.models import registry

    own = {*registry.MODELS, *registry.EXTERNAL}
    return {name: place for name, place in registry.locations().items() if name not in own}


def _folder_of(package: str) -> Path | None:
    """The folder that a top-level package or module lies in; None where it has no source."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    origin = Path(spec.origin) if spec and spec.origin else None
    if origin is None or origin.suffix != ".py":
        return None
    return origin.parents[1] if origin.name == "__init__.py" else origin.parent


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from (*_texts(name), *_texts(one))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


@dataclass(frozen=True)
class Finder:
    """Finds the files of modules.

    Attributes:
        packages: top-level package → the folder that it lies in.
        beside: folders whose modules may be imported, too, such as the notebook's.
    """

    packages: Mapping[str, Path]
    beside: tuple[Path, ...] = ()
    _known: dict[str, Path | None] = field(default_factory=dict, repr=False)

    def module(self, name: str) -> Path | None:
        """The file of a module; of a package its ``__init__.py``; None where it is not among the code that counts."""
        if name not in self._known:
            self._known[name] = self._find(name.split("."))
        return self._known[name]

    @cached_property
    def _tops(self) -> frozenset[str]:
        """Names at the top of what may be imported: most imports are of other packages."""
        beside = (path for folder in self.beside if folder.is_dir() for path in folder.iterdir())
        return frozenset({path.name.removesuffix(".py") for path in beside}.union(self.packages))

    def _find(self, parts: list[str]) -> Path | None:
        if parts[0] not in self._tops or not all(part.isidentifier() for part in parts):
            return None
        folders = (self.packages[parts[0]],) if parts[0] in self.packages else self.beside
        for folder in folders:
            path = folder.joinpath(*parts)
            for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if file.is_file():
                    return file
        return None

    def named(self, text: str, package: str) -> str:
        """The module that a text names, in full or from a package on, with ``:Class`` behind it or not; or nothing."""
        name = text.partition(":")[0]
        names = [f"{package}.{name.lstrip('.')}"] if name.startswith(".") else [name, f"{package}.{name}"]
        return next((one for one in names if self.module(one)), "")


def reached(
    sources: Iterable[str], finder: Finder, words: frozenset[str] = frozenset(), *, also: Iterable[str] = ()
) -> CodeFiles:
    """The files of all modules that some code reaches.

    Args:
        sources: Python code, such as a notebook's cells.
        finder: where modules lie.
        words: what the code and its parameters say: of modules that are imported by name, which.
        also: modules that are imported besides.
    """
    walk = _Walk(finder, words)
    for name in (*ALWAYS, *also):
        walk.visit(name)
    for source in sources:
        walk.follow(parse(source.encode()), "")
    return CodeFiles(dict(sorted(walk.found.items())))


@dataclass
class _Walk:
    """The state of one walk from module to module."""

    finder: Finder
    words: frozenset[str]
    found: dict[str, Path] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    modules: dict[str, Module] = field(default_factory=dict)

    def visit(self, name: str) -> None:
        """Add a module, the packages that it lies in, and all that they reach."""
        if (name, "") in self.seen:
            return
        self.seen.add((name, ""))
        if "." in name:
            self.visit(name.rpartition(".")[0])
        path = self.finder.module(name)
        if path is None:
            return
        self.found[name] = path
        self.modules[name] = module = parse(path.read_bytes())
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.follow(module, package)
        self._add_data_files(module, path.parent, package)

    def follow(self, module: Module, package: str) -> None:
        """Visit what a module imports that lies in a package."""
        for wanted in module.imports:
            base = wanted.absolute(package)
            self.visit(base)
            for attribute in wanted.names:
                self._take(base, attribute)
        if module.imports_by_name and not module.is_lazy:
            for target in self._chosen(module, package):
                self.visit(target)

    def _chosen(self, module: Module, package: str) -> list[str]:
        """The modules that literals name; those that the parameters name, where they do."""
        named = {text: target for text in sorted(module.literals) if (target := self._below(text, package))}
        told = [target for text, target in named.items() if text in self.words]
        return told or list(named.values())

    def _below(self, text: str, package: str) -> str:
        """The module that a text names; also its last name alone, anywhere below the package."""
        if found := self.finder.named(text, package):
            return found
        init = self.finder.module(package) if text.isidentifier() else None
        if init is None or init.name != "__init__.py":
            return ""
        files = sorted(init.parent.rglob(f"{text}.py"))
        return ".".join((package, *files[0].relative_to(init.parent).with_suffix("").parts)) if files else ""

    def _take(self, base: str, attribute: str) -> None:
        """What ``from base import attribute`` brings: a module, or what a lazy export stands for."""
        if (base, f"{attribute} taken") in self.seen:
            return
        self.seen.add((base, f"{attribute} taken"))
        first, _, rest = attribute.partition(".")
        inner = f"{base}.{first}"
        if self.finder.module(inner):
            self.visit(inner)
            if rest:
                self._take(inner, rest)
        elif base in self.modules and self.modules[base].is_lazy and first not in self.modules[base].defines:
            for text in self.modules[base].exports(first):
                self.visit(self.finder.named(text, base))

    def _add_data_files(self, module: Module, folder: Path, package: str) -> None:
        """Add the files that literals name, beside the module or in a package that another literal names."""
        rooms = {package: folder}
        for text in module.literals:
            init = self.finder.module(text) if "." in text else None
            if init is not None and init.name == "__init__.py":
                rooms[text] = init.parent
        for text in filter(FILE_NAME.fullmatch, module.literals):
            for room, place in rooms.items():
                for file in _data(place / text):
                    self.found[f"{room.replace('.', '/')}/{file.relative_to(place).as_posix()}"] = file


def _data(path: Path) -> Iterator[Path]:
    """A data file, or those of a folder that is no package."""
    if path.is_file() and path.suffix != ".py":
        yield path
    elif path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)


def _place(name: str, path: Path) -> str:
    place = name.replace(".", "/")
    return f"{place}/__init__.py" if path.name == "__init__.py" else f"{place}.py"


def _bytes_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
