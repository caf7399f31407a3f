"""Links and badges, which occur too often to be made by templates."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from perturbench_lamin.browse import words
from perturbench_lamin.browse.site import Site
from perturbench_lamin.browse.snapshot import ArtifactRecord, RunRecord


def keyed(key: str) -> Markup:
    """A key, escaped, that may be broken after its slashes."""
    return Markup(str(escape(key)).replace("/", "/<wbr>"))


def badge(text: str, style: str) -> Markup:
    """A word in a coloured box."""
    return Markup('<span class="badge {}">{}</span>').format(style, text)


@dataclass(frozen=True)
class Links:
    """Links and badges of a site's records.

    Attributes:
        site: the site.
    """

    site: Site

    def artifact(self, artifact: ArtifactRecord, root: str) -> Markup:
        """A link to an artifact's page."""
        title = keyed(words.artifact_title(artifact))
        return Markup('<a class="key" href="{}artifact/{}.html">{}</a>').format(root, artifact.uid, title)

    def run(self, run: RunRecord, root: str) -> Markup:
        """A link to a run's page."""
        return Markup('<a href="{}run/{}.html">{}</a>').format(root, run.uid, self.site.run_title(run))

    def status(self, run: RunRecord) -> Markup:
        """How a run ended."""
        return badge(words.status(run), words.status_class(run))

    def file(self, artifact: ArtifactRecord) -> Markup:
        """What is wrong with an artifact's file; nothing where nothing is."""
        state = self.site.states[artifact.uid]
        trashed = badge("in the trash", "bad") if artifact.trashed else Markup()
        return trashed + (badge(f"file {state}", "bad") if state.is_bad else Markup())
