"""One call between preprocessing a curated file and registering it, and one after: check, and annotate.

validated = validate_curated(path, "norman19", gene_table="genes_homo_sapiens.csv.gz")
artifact = curations.save_curated(path, "norman19", report, made_from=raw)
annotate_curated(artifact, validated)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin.metadata import schema, sources
from perturbench_lamin.metadata.bulk import BATCH
from perturbench_lamin.metadata.check import CheckedFile, CheckOptions, check_terms
from perturbench_lamin.metadata.datasets import DatasetTerms
from perturbench_lamin.metadata.genes import Genes
from perturbench_lamin.metadata.records import Records, parts_of, save_records

CELLS = "cell_type"
"""The column of cell lines or cell types in every curated file."""


@dataclass(frozen=True)
class ValidatedFile:
    """A curated file whose terms are records of the instance.

    Attributes:
        checked: what its values stand for.
        records: the records, by feature.
        schema: the schema that it keeps.
    """

    checked: CheckedFile
    records: Records
    schema: ln.Schema


def validate_curated(
    path: str | Path,
    dataset: str,
    *,
    gene_table: str | Path | None = None,
    terms: DatasetTerms | None = None,
    options: CheckOptions | None = None,
) -> ValidatedFile:
    """Check a curated file's metadata against ontologies and the instance's schema; make the records it needs.

    Works without a network, and again on the same instance makes nothing twice.

    Args:
        path: the file.
        dataset: its name.
        gene_table: an annotation as :class:`~perturbench_lamin.curation.genes.GeneTable` reads it. By default the
            one that the instance got last; where it has none, genes are recorded as not checked.
        terms: what the file's columns mean; by default as the catalog's dataset of that name.
        options: how strict to be.

    Raises:
        InputError: terms do not validate: each is named with its column, its number of cells and the nearest
            terms; or the file does not keep the contract.
    """
    genes = Genes.read(gene_table) if gene_table else sources.genes_of_instance()
    checked = check_terms(path, dataset, genes=genes, terms=terms, options=options)
    records = save_records(checked)
    return ValidatedFile(checked, records, schema.validate(checked, records))


def annotate_curated(artifact: ln.Artifact, validated: ValidatedFile) -> ln.Artifact:
    """Link a registered curated file to its records, so that it is found by them.

    Twice is as good as once; what an earlier check said and this one does not is unlinked.
    """
    for name, feature in schema.label_features().items():
        _set_labels(artifact, feature, schema.LABELS[name][0], validated.records.get(name, []))
    values = {"perturbed_in": perturbed_in(validated.checked), "metadata_notes": _notes(validated.checked)}
    for name, feature in schema.value_features().items():
        _set_value(artifact, feature, values[name])
    artifact.schema = validated.schema
    return artifact.save()


def perturbed_in(checked: CheckedFile) -> dict[str, list[str]]:
    """What was done to each cell line or cell type: names of perturbed genes, compounds and other treatments.

    The key is empty where the file does not say what its cells are.
    """
    key, parts = checked.tables.info.keys.perturbation, parts_of(checked)
    treatments = [column for column in checked.terms.columns if column != CELLS]
    found: dict[str, set[str]] = {}
    for state in checked.tables.states.to_dict("records"):
        cell = str(state.get(CELLS, ""))
        use = checked.uses.get((CELLS, cell))
        done = [(key, part) for part in parts.get(state[key], ())]
        done += [(column, state[column]) for column in treatments if column in state]
        names = {checked.term(*one).name for one in done if one in checked.uses}
        found.setdefault(use.term.name if use else cell, set()).update(names)
    return {cell: sorted(names) for cell, names in sorted(found.items())}


def _notes(checked: CheckedFile) -> dict[str, Any]:
    return {f"{note.step}: {note.reason}": {"count": note.count, "examples": note.examples} for note in checked.notes}


def _set_labels(artifact: ln.Artifact, feature: ln.Feature, registry: Any, records: Sequence[Any]) -> None:
    through, column = registry.artifacts.through, f"{registry.__name__.lower()}_id"
    old = through.filter(artifact=artifact, feature=feature)
    linked, wanted = set(old.values_list(column, flat=True)), {record.pk for record in records}
    old.filter(**{f"{column}__in": sorted(linked - wanted)}).delete()
    new = [through(artifact=artifact, feature=feature, **{column: pk}) for pk in sorted(wanted - linked)]
    through.objects.bulk_create(new, batch_size=BATCH)


def _set_value(artifact: ln.Artifact, feature: ln.Feature, value: dict[str, Any]) -> None:
    old = list(artifact.json_values.filter(feature=feature))
    if [one.value for one in old] == [value]:
        return
    artifact.json_values.remove(*old)
    if value:
        artifact.features.add_values({feature: value})
