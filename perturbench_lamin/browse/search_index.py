"""What the search box looks through, as a script: a page that was opened from a folder may load no data."""

from __future__ import annotations

import json
from collections.abc import Iterator

from perturbench_lamin.browse import words
from perturbench_lamin.browse.kinds import kind_of
from perturbench_lamin.browse.site import Site, page_name

Entry = tuple[str, str, str, str]
"""What it is called, what kind of thing it is, where its page is, and further words to find it by."""


def search_index(site: Site) -> str:
    """The script that holds the index; the order is that in which equally good finds are listed."""
    text = json.dumps(list(_entries(site)), ensure_ascii=True, separators=(",", ":"))
    return f"window.siteIndex = {text};\n"


def _entries(site: Site) -> Iterator[Entry]:
    for row in site.datasets:
        entry = row.entry
        known = (*entry.aliases, entry.title, entry.citation, entry.accession) if entry else ()
        yield row.name, "Dataset", f"dataset/{page_name(row.name)}.html", " ".join(known)
    for name in site.models:
        yield name, "Model", f"model/{page_name(name)}.html", ""
    for group in site.latest.values():
        for one in group:
            labels = " ".join(f"{label.name} {label.ontology_id}".strip() for label in one.labels)
            further = f"{one.uid} {one.description} {labels}".strip()
            yield words.artifact_title(one), kind_of(one).title, f"artifact/{one.uid}.html", further
    for run in reversed(list(site.snapshot.runs.values())):
        further = f"{run.uid} {words.moment(run.started)} {words.status(run)}"
        yield site.run_title(run), "Run", f"run/{run.uid}.html", further
    for transform in site.snapshot.transforms.values():
        yield transform.key, transform.kind.capitalize(), f"source/{transform.uid}.html", transform.uid
