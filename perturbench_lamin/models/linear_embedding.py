"""The linear model with gene and perturbation embeddings, pre-trained or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.closed_form import Centroids, ClosedForm, ClosedFormHyperparameters
from perturbench_lamin.models.embedding_file import Embedding, read_embedding
from perturbench_lamin.models.embedding_regression import COMPONENTS, RIDGE, principal_scores, regress
from perturbench_lamin.models.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class LinearEmbeddingHyperparameters(ClosedFormHyperparameters):
    """Hyperparameters of :class:`LinearEmbedding`.

    Attributes:
        components: principal components of the gene embedding made of the training cells.
        ridge: λ.
        gene_embedding: a file with G, made on another dataset (:func:`~.embedding_file.read_embedding`); empty for
            the principal components of the training means.
        perturbation_embedding: likewise with P; empty for the rows of G at the perturbed genes.
        allow_missing: whether the genes of the data and the perturbations that have no row in the files are
            predicted to change as all perturbations do on average, b; otherwise they are an error.
        control_column: whether the control of each covariate state counts among the columns of Y, with no change, as
            in the published script: b is then the sum of the changes over their number plus that of the controls.
            Without, b is the mean of the changes, as the paper's formula reads.
    """

    files: ClassVar[tuple[str, ...]] = ("gene_embedding", "perturbation_embedding")
    components: int = COMPONENTS
    ridge: float = RIDGE
    gene_embedding: str = ""
    perturbation_embedding: str = ""
    allow_missing: bool = False
    control_column: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.components < 1 or not self.ridge > 0:
            raise InputError("components and ridge must be positive", where="hyperparameters")


class LinearEmbedding(ClosedForm):
    """μ̂ = μ_c + b + Σ_tokens G W p_t (Ahlmann-Eltze, Huber & Anders, Nature Methods 2025).

    Y ≈ G W Pᵀ + b in closed form, see :func:`~.embedding_regression.regress`, Y being the changes from control of
    the training singles, all covariate states together. G are the scores of genes in the PCA of the training means,
    P the rows of G, or of the file with G, at the perturbed genes; or either comes from a file made on another
    dataset, see :mod:`~.pretraining`. A token whose gene has no row adds nothing to b. A control is predicted
    unchanged. A perturbation that no training cell has is predicted if it has a row in P.

    The files are read at the fit alone: the checkpoint holds what prediction needs.
    """

    name: ClassVar[str] = "linear_embedding"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = LinearEmbeddingHyperparameters
    architecture: ClassVar[int] = 2
    base_change: Tensor
    token_changes: Tensor

    def __init__(self, hyperparameters: LinearEmbeddingHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = hyperparameters
        self._files: dict[str, Embedding] = {}
        self.register_buffer("base_change", torch.zeros(len(vocabulary.genes)))
        self.register_buffer("token_changes", torch.zeros(len(vocabulary.perturbations), len(vocabulary.genes)))

    @classmethod
    def known_tokens(
        cls, hyperparameters: Hyperparameters, tokens: Sequence[str], genes: Sequence[str]
    ) -> tuple[str, ...]:
        """The tokens that have a row in P."""
        assert isinstance(hyperparameters, LinearEmbeddingHyperparameters)
        path = hyperparameters.perturbation_embedding or hyperparameters.gene_embedding
        names = set(read_embedding(path).names if path else genes)
        return tuple(token for token in tokens if token in names)

    def on_fit_start(self) -> None:
        """Read the embeddings, so that an error in them shows before the cells are summed."""
        paths = {"genes": self.settings.gene_embedding, "perturbations": self.settings.perturbation_embedding}
        self._files = {what: read_embedding(path) for what, path in paths.items() if path}

    def solve(self, centroids: Centroids) -> None:
        """b and every token's change."""
        genes = self._genes(centroids)
        perturbed, has_row = self._perturbations(genes)
        changes, tokens = self._singles(centroids, has_row)
        controls = len(self.vocabulary.states) if self.settings.control_column else 0
        base, weights = regress(changes, genes, perturbed[tokens], self.settings.ridge, control_columns=controls)
        slopes = (perturbed @ weights.T) @ genes.T
        self.base_change.copy_(torch.from_numpy(base))
        self.token_changes.copy_(torch.from_numpy(slopes))

    def shift(self, batch: Batch) -> Tensor:
        """b plus the changes of the tokens; zero for controls."""
        perturbed = batch.perturbations.any(1, keepdim=True)
        return self.base_change * perturbed + batch.perturbations @ self.token_changes

    def _genes(self, centroids: Centroids) -> np.ndarray:
        """G: genes × K; zero rows for genes that the file lacks."""
        if "genes" in self._files:
            file = self._files["genes"]
            return _rows(file, file.places(self.vocabulary.genes, allow_missing=self.settings.allow_missing))[0]
        controls = self.control_mean[:-1].double()
        seen = centroids.seen
        bulks = torch.cat([controls, (controls[:, None] + centroids.effects)[seen]])
        return principal_scores(bulks.cpu().numpy().T, self.settings.components)

    def _perturbations(self, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P: tokens × L, and which tokens have a row."""
        tokens = self.vocabulary.perturbations
        if "perturbations" in self._files:
            file = self._files["perturbations"]
            return _rows(file, file.places(tokens, allow_missing=self.settings.allow_missing))
        known = self._files.get("genes") or Embedding(self.vocabulary.genes, genes, self.name)
        return _rows(known, known.find(tokens))

    def _singles(self, centroids: Centroids, has_row: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Y, a column for each (state, single) whose token has a row in P, and these tokens' places."""
        place = {token: number for number, token in enumerate(self.vocabulary.perturbations)}
        effects, seen = centroids.effects.cpu().numpy(), centroids.seen.cpu().numpy()
        found: list[Any] = []
        tokens: list[int] = []
        for number, names in enumerate(self.vocabulary.conditions.values()):
            if len(names) == 1 and has_row[place[names[0]]]:
                found += list(effects[seen[:, number], number])
                tokens += [place[names[0]]] * int(seen[:, number].sum())
        if len(found) < 2:
            raise InputError(
                f"{len(found)} training perturbations have an embedding, the fit takes two",
                where=self.name,
                fix="Perturbations need the names of measured genes, or a perturbation_embedding.",
            )
        return np.array(found).T, tokens


def _rows(known: Embedding, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values at these places, zero where that is -1; and whether it is not."""
    return np.where((places >= 0)[:, None], known.values[places], 0.0), places >= 0
