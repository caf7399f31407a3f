"""The executed notebook as a self-contained HTML page, attached to its run."""

from __future__ import annotations

import re
from pathlib import Path

import lamindb as ln

from perturbench_lamin.files import write_text
from perturbench_lamin.lineage.artifacts import save_of_run


def render(notebook: Path) -> Path:
    """Write ``notebook`` as one HTML page beside it, without scripts from other servers."""
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True, embed_images=True)
    exporter.mathjax_url = exporter.require_js_url = exporter.jquery_url = exporter.mermaid_js_url = ""
    page, _ = exporter.from_notebook_node(nbformat.read(notebook, as_version=4))
    return write_text(notebook.with_suffix(".html"), re.sub(r'<script src="[^"]*"> ?</script>', "", page))


def attach(run: ln.Run, page: Path) -> None:
    """Make ``page`` the report of ``run``."""
    run.report = save_of_run(page, f"Report of run {run.uid}")
    run.save()
