from __future__ import annotations

import os
import signal
import sys

import pytest

from perturbench_lamin.cli.main import HUGE_PAGES, main


@pytest.mark.parametrize("asked", [None, "0"])
def test_the_command_asks_for_huge_pages_unless_the_user_says_otherwise(asked, monkeypatch):
    (name,) = HUGE_PAGES
    monkeypatch.setenv(name, asked or "")
    if asked is None:
        monkeypatch.delenv(name)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["perturbench-lamin", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert os.environ[name] == (asked or HUGE_PAGES[name])
