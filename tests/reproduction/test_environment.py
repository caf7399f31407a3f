from __future__ import annotations

from perturbench_lamin.reproduction.environment import changes, packages

FREEZE = """
anndata==0.12.1
# Editable Git install with no remote (perturbench-lamin==0.1.0)
-e /some/where
Scikit_Misc==0.5.1 ; python_version > "3"
-e git+https://example.org/tool@abc123#egg=tool
wheel @ file:///tmp/wheel.whl
"""


def test_names_are_normalised_and_no_machines_paths_are_kept():
    assert packages(FREEZE) == {
        "anndata": "0.12.1",
        "perturbench-lamin": "0.1.0 (local checkout)",
        "scikit-misc": "0.5.1",
        "tool": "git+https://example.org/tool@abc123",
        "wheel": "local checkout",
    }


def test_changes_are_both_ways_and_unknown_is_not_changed():
    then, now = {"a": "1", "b": "2", "d": "1"}, {"b": "3", "c": "1", "d": "1"}
    assert changes(then, now) == {"a": ("1", ""), "b": ("2", "3"), "c": ("", "1")}
    assert changes({}, now) == changes(then, {}) == {}
