"""A small part of the fuzz, the same files each time.

The whole: ``python tests/fuzz/fuzz_h5ad.py VERB --files 600``.
"""

from __future__ import annotations

import numpy as np
import pytest
from damage import damage
from fuzz_h5ad import BAD, VERBS, counts, damaged, fuzz, strictly, write

FILES = 20


@pytest.mark.parametrize("verb", VERBS)
def test_damaged_files_are_read_as_before_or_refused(verb, tmp_path):
    outcomes = fuzz(verb, FILES, 2, tmp_path)
    assert len(outcomes) == FILES
    assert [outcome for outcome in outcomes if outcome.kind in BAD] == []
    kinds = {outcome.kind for outcome in outcomes}
    assert "refused" in kinds
    assert kinds & {"same", "other"}, "compare tells of any damage that leaves a file whole"


def test_the_same_seed_makes_the_same_damage(tmp_path):
    good = write(counts(), tmp_path / "good.h5ad", "csr gzip")
    for number in range(8):
        one, other = (damaged(good, number, seed, tmp_path)[0].read_bytes() for seed in (1, 1))
        assert one == other


def test_the_strict_reader_tells_files_apart(tmp_path):
    path = write(counts(), tmp_path / "good.h5ad", "csr gzip")
    assert strictly(path)[0] == "takes"
    verdicts = set()
    for number in range(30):
        bad = write(counts(), tmp_path / "bad.h5ad", "csr gzip")
        damage(bad, np.random.default_rng(number))
        verdicts.add(strictly(bad)[0])
    assert verdicts == {"takes", "refuses"}
