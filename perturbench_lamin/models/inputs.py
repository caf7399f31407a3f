"""What a model reads of a control cell: its expression, or its embedding by another model."""

from __future__ import annotations

from torch import Tensor

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary


def input_width(vocabulary: Vocabulary, embedding: str) -> int:
    """How many numbers :func:`inputs` has for a cell.

    Raises:
        InputError: the training data have no embedding of that name.
    """
    if not embedding:
        return len(vocabulary.genes)
    if embedding not in vocabulary.embeddings:
        raise InputError(
            f"The data have no embedding {embedding!r}", where="obsm", fix=nearest(embedding, vocabulary.embeddings)
        )
    return vocabulary.embeddings[embedding]


def inputs(batch: Batch, embedding: str) -> Tensor:
    """The control cells' expression, or their embeddings where ``embedding`` names one (cells × width).

    Raises:
        ValueError: the batch was made without embeddings.
    """
    if not embedding:
        return batch.controls
    if batch.embeddings is None:
        raise ValueError(f"The batch has no embeddings, the model reads {embedding!r}")
    return batch.embeddings
