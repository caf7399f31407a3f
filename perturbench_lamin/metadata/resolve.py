"""Looking values up: the synonym table first, then the ontology or the gene table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perturbench_lamin.metadata.genes import Genes
from perturbench_lamin.metadata.names import plain_names
from perturbench_lamin.metadata.ontologies import SHIPPED, shipped
from perturbench_lamin.metadata.synonyms import Synonyms
from perturbench_lamin.metadata.terms import COMPOUND, GENE, Term

UNCHECKED_GENE = "no gene table: not checked"


@dataclass(frozen=True)
class Resolver:
    """What values of a dataset stand for.

    Attributes:
        dataset: its name, which rows of the synonym table may be for.
        synonyms: the reviewed table.
        genes: the annotation; None where there is none, and genes are taken as they are.
        measured: the Ensembl ids of the file's own genes, by symbol: they explain symbols of older annotations.
    """

    dataset: str
    synonyms: Synonyms
    genes: Genes | None = None
    measured: Mapping[str, str] = field(default_factory=dict)

    def find(self, registry: str, value: str) -> Term | None:
        """The term that a value stands for; None where nothing explains it."""
        if registry == COMPOUND:
            return self._compound(value)
        if registry == GENE:
            return self._gene(value)
        found = self.synonyms.find(self.dataset, registry, value)
        return found or (shipped(registry).find(value) if registry in SHIPPED else None)

    def find_any(self, registries: Sequence[str], value: str) -> Term | None:
        """The term in the first registry that has one; synonyms before ontologies, which take longer to open."""
        reviewed = self.synonyms.find_any(self.dataset, registries, value)
        found = (self.find(registry, value) for registry in registries)
        return reviewed or next((term for term in found if term is not None), None)

    def exists(self, term: Term) -> bool:
        """Whether the term's identifier is in its ontology or gene table under that name; True where there is none."""
        if term.registry == GENE and self.genes is not None:
            known = self.genes.by_id(term.ontology_id)
        else:
            known = shipped(term.registry).get(term.ontology_id) if term.registry in SHIPPED else term
        return not term.ontology_id or (known is not None and known.name == term.name)

    def nearest(self, registries: Sequence[str], value: str) -> tuple[str, ...]:
        """Terms like ``value``, for an error."""
        near: list[str] = []
        for registry in registries:
            if registry == GENE:
                near += self.genes.nearest(value) if self.genes else ()
            elif registry in SHIPPED:
                near += shipped(registry).nearest(value)
        return tuple(near)

    def _gene(self, value: str) -> Term | None:
        reviewed = self.synonyms.find(self.dataset, GENE, value)
        if reviewed is not None:
            return reviewed
        own = self.measured.get(value, "")
        if self.genes is None:
            return Term(GENE, own, value, UNCHECKED_GENE)
        found = self.genes.by_symbol(value, prefer=own)
        for ensembl_id, how in ((value, "Ensembl id"), (own, "former symbol: the file's Ensembl id of that gene")):
            term = self.genes.by_id(ensembl_id)
            if found is None and term is not None:
                found = Term(GENE, term.ontology_id, term.name, how)
        return found

    def _compound(self, value: str) -> Term | None:
        for name, derived in plain_names(value):
            found = self.synonyms.find(self.dataset, COMPOUND, name) or shipped(COMPOUND).find(name)
            if found is not None:
                how = f"{found.how} ({derived})" if derived else found.how
                return Term(COMPOUND, found.ontology_id, found.name, how)
        return None
