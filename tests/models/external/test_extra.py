from __future__ import annotations

import sys
import warnings

import pytest
import torch

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.external.extra import Extra


def test_a_missing_package_says_what_to_install():
    with pytest.raises(InputError, match=r"no-such-package cannot be imported(.|\n)*pip install no-such-package==1"):
        Extra("no-such-package", "no-such-package==1").module("no_such_package.model")


def test_an_import_leaves_seed_and_warnings_as_they_were(tmp_path, monkeypatch):
    """As cell-gears does."""
    text = "import torch, warnings\ntorch.manual_seed(0)\nwarnings.filterwarnings('ignore')\n"
    (tmp_path / "rude_package.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(7)
    expected, filters = torch.get_rng_state(), list(warnings.filters)
    Extra("rude", "rude").module("rude_package")
    monkeypatch.delitem(sys.modules, "rude_package")
    assert torch.equal(torch.get_rng_state(), expected)
    assert warnings.filters == filters
