"""The command line: thin verbs over the package, each importing what it needs when it runs."""

from perturbench_lamin.cli.main import main

__all__ = ["main"]
