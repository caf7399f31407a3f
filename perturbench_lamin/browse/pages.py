"""The pages of a site, from templates that escape whatever they are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from perturbench_lamin.browse import words
from perturbench_lamin.browse.boards import panels_of
from perturbench_lamin.browse.checkpoints import metric_names
from perturbench_lamin.browse.contents import content_of
from perturbench_lamin.browse.graph_data import graph_data
from perturbench_lamin.browse.kinds import KINDS, OTHER, kind_of
from perturbench_lamin.browse.links import Links, keyed
from perturbench_lamin.browse.sanitise import is_link
from perturbench_lamin.browse.site import Site, page_name
from perturbench_lamin.browse.snapshot import ArtifactRecord, RunRecord
from perturbench_lamin.browse.source_code import source_html
from perturbench_lamin.lineage.graph import code_in_words


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        path: where, relative to the site.
        html: what.
    """

    path: str
    html: str


def pages(site: Site) -> Iterator[Page]:
    """All pages of a site."""
    write = _Writer(site)
    yield write("index.html", "index.html")
    yield write("artifacts.html", "artifacts.html")
    yield write("runs.html", "runs.html")
    yield write("models.html", "models.html", boards=_models_by_board(site))
    yield write("leaderboards.html", "leaderboards.html")
    for row in site.datasets:
        yield write(f"dataset/{page_name(row.name)}.html", "dataset.html", row=row)
    for name, listed in site.models.items():
        where = f"model/{page_name(name)}.html"
        yield write(where, "model.html", name=name, listed=listed, metrics=metric_names(listed))
    for transform in site.snapshot.transforms.values():
        code = Markup(source_html(transform.source, transform.key)) if transform.source else ""
        yield write(f"source/{transform.uid}.html", "source.html", transform=transform, code=code)
    for artifact in site.data:
        yield from _artifact_pages(site, write, artifact)
    yield from _environment_pages(site, write)
    for run in site.snapshot.runs.values():
        yield from _run_pages(site, write, run)


class _Writer:
    """Renders templates for one site."""

    def __init__(self, site: Site) -> None:
        self.environment = environment(site)

    def __call__(self, path: str, template: str, **given: Any) -> Page:
        root = "../" * path.count("/")
        return Page(path, self.environment.get_template(template).render(root=root, here=path, **given))


def environment(site: Site) -> Environment:
    """Templates with all escaping on, and the words and links that they use."""
    made = Environment(
        loader=PackageLoader("perturbench_lamin.browse"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        size=words.size, moment=words.moment, duration=words.duration, value=words.value, page_name=page_name
    )
    made.filters["keyed"] = keyed
    made.filters["astuple"] = lambda one: (one.feature, one.about, one.value)
    made.filters["extract"] = lambda key, mapping: mapping[key]
    made.filters["kind_name"] = lambda artifact: kind_of(artifact).name
    made.tests["link"] = is_link
    made.globals.update(
        site=site,
        kind_of=kind_of,
        kinds=[*KINDS.values(), OTHER],
        artifact_title=words.artifact_title,
        links=Links(site),
        status=words.status,
        status_class=words.status_class,
        graph_data=graph_data,
        registry_title=words.registry_title,
        code_in_words=code_in_words,
    )
    return made


def _artifact_pages(site: Site, write: _Writer, artifact: ArtifactRecord) -> Iterator[Page]:
    kind = kind_of(artifact)
    panels = panels_of(artifact, site.states[artifact.uid]) if kind is KINDS["leaderboards"] else ()
    content = content_of(artifact, site.states[artifact.uid])
    yield write(
        f"artifact/{artifact.uid}.html",
        "artifact.html",
        artifact=artifact,
        kind=kind,
        panels=panels,
        content=content,
        checkpoint=site.checkpoint_of.get(artifact.uid),
        state=site.states[artifact.uid],
        around=site.around(artifact.uid),
    )
    if content and content.page:
        back = (f"artifact/{artifact.uid}.html", words.artifact_title(artifact))
        yield write(
            f"artifact/{artifact.uid}-page.html",
            "content.html",
            title=words.artifact_title(artifact),
            back=back,
            content=content,
            page=Markup(content.page),
            about="The file, as a page",
        )


def _environment_pages(site: Site, write: _Writer) -> Iterator[Page]:
    for uid in dict.fromkeys(run.environment for run in site.snapshot.runs.values() if run.environment):
        artifact = site.snapshot.artifacts.get(uid)
        if artifact is not None:
            text = artifact.path.read_text(errors="replace") if _is_good(site, artifact) and artifact.path else ""
            used = [run for run in site.snapshot.runs.values() if run.environment == uid]
            yield write(
                f"environment/{uid}.html", "environment.html", artifact=artifact, used=used, lines=text.splitlines()
            )


def _run_pages(site: Site, write: _Writer, run: RunRecord) -> Iterator[Page]:
    report = site.snapshot.artifacts.get(run.report)
    content = content_of(report, site.states[report.uid]) if report else None
    problem = run.problem or (words.error_in(content.page) if content and words.status_class(run) == "bad" else "")
    yield write(
        f"run/{run.uid}.html", "run.html", run=run, content=content, problem=problem, around=site.around(run.uid)
    )
    if content:
        yield write(
            f"run/{run.uid}-report.html",
            "content.html",
            title=site.run_title(run),
            back=(f"run/{run.uid}.html", f"Run {run.uid}"),
            content=content,
            page=Markup(content.page),
            about="Executed notebook",
        )


def _is_good(site: Site, artifact: ArtifactRecord) -> bool:
    return content_of(artifact, site.states[artifact.uid]) is not None


def _models_by_board(site: Site) -> dict[str, list[Any]]:
    """All checkpoints by dataset and task."""
    found: dict[str, list[Any]] = {}
    for one in (one for listed in site.models.values() for one in listed):
        found.setdefault(one.board or "Dataset not recorded", []).append(one)
    return dict(sorted(found.items()))
