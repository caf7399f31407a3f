from __future__ import annotations

import pytest

from perturbench_lamin.errors import ChainError
from perturbench_lamin.lineage.instance import instance_folder, local_instance, open_existing, open_instance


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "settings"))
    monkeypatch.delenv("LAMIN_CURRENT_INSTANCE", raising=False)


def test_an_instance_is_made_once_and_remade_after_a_kill_while_it_was_made(tmp_path):
    folder = tmp_path / "My folder"
    made = local_instance(folder)
    assert made.slug.startswith("anonymous/my-folder-")
    database = folder / "lamin-store" / ".lamindb" / "lamin.db"
    before = database.stat().st_mtime_ns
    assert local_instance(folder) == made
    assert database.stat().st_mtime_ns == before

    database.write_bytes(b"half a database")
    (folder / ".lamin" / "being-made").write_text("")
    assert local_instance(folder) == made
    assert database.read_bytes().startswith(b"SQLite format 3")
    assert open_existing(folder, tmp_path) == open_existing(None, folder) == made


def test_what_is_to_be_read_is_not_made(tmp_path, monkeypatch):
    folder = tmp_path / "misspelt"
    with pytest.raises(ChainError, match=r"There is no instance \[.*misspelt\]"):
        open_existing(folder, tmp_path)
    assert not folder.exists()
    half = tmp_path / "half" / ".lamin"
    half.mkdir(parents=True)
    for name in ("current_instance", "being-made"):
        (half / name).write_text("somebody/half")
    with pytest.raises(ChainError, match="There is no instance"):
        open_existing(None, tmp_path / "half")
    assert {path.name for path in half.iterdir()} == {"current_instance", "being-made"}
    with pytest.raises(ChainError, match="lamin connect laminlabs/perturbench"):
        open_existing("laminlabs/perturbench", tmp_path)


def test_a_store_copied_from_another_machine_is_refused_with_advice(tmp_path):
    marker = tmp_path / "copied" / ".lamin" / "current_instance"
    marker.parent.mkdir(parents=True)
    marker.write_text("somebody/elsewhere")
    with pytest.raises(ChainError, match="not known on this machine"):
        local_instance(tmp_path / "copied")


def test_a_slug_is_told_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChainError, match="lamin connect laminlabs/perturbench"):
        open_instance("laminlabs/perturbench", tmp_path)
    assert instance_folder("laminlabs/perturbench", tmp_path) == tmp_path
    assert instance_folder("some-folder", tmp_path) == tmp_path / "some-folder"
    assert instance_folder(None, tmp_path) == tmp_path
