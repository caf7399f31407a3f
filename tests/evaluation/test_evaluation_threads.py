"""Ranges of work cover everything once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.evaluation import threads


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.integers(0, 5), max_size=30), parts=st.integers(1, 9))
def test_every_item_is_worked_on_once(weights, parts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "cores", lambda: parts)
        seen = np.zeros(len(weights), dtype=int)

        def kernel(start, stop):
            seen[start:stop] += 1

        threads.over_ranges(kernel, len(weights), np.array(weights, dtype=int))
        threads.over_ranges(kernel, len(weights))
    assert (seen == 2).all()


def test_an_error_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 3)

    def kernel(start, stop):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        threads.over_ranges(kernel, 10)
