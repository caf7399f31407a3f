"""A gene table of a few genes."""

from __future__ import annotations

import pytest
from small_files import GENES, write_gene_table


@pytest.fixture(scope="session")
def gene_table(tmp_path_factory):
    """A file with a few human genes."""
    return write_gene_table(tmp_path_factory.mktemp("genes") / "genes.csv", GENES)
