"""How the code of a run is recorded: a commit, or a copy where no commit has it."""

from __future__ import annotations

import subprocess
import zipfile

import pytest


@pytest.fixture
def code(lamin):
    from perturbench_lamin.lineage import code

    return code


@pytest.fixture
def checkout(tmp_path):
    """A git repository with a package; call it to give it a commit."""
    root = tmp_path / "checkout"
    (root / "pkg" / "room").mkdir(parents=True)
    (root / "pkg" / "__init__.py").write_text("x = 1\n")
    (root / "pkg" / "room" / "data.csv").write_text("a,b\n")
    (root / "other.txt").write_text("not of the package")
    git(root, "init", "--quiet")
    commit(root)
    return root


def git(root, *arguments):
    told = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *told, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root):
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "all")
    return git(root, "rev-parse", "HEAD")


def test_a_commit_that_has_it_all_is_enough(code, checkout, tmp_path):
    (checkout / "other.txt").write_text("changed, but not the package")
    (checkout / "pkg" / "__pycache__").mkdir()
    (checkout / "pkg" / "__pycache__" / "room.pyc").write_bytes(b"compiled")
    record = code.record(checkout, "pkg", {})
    assert (record.commit, record.clean, record.source) == (git(checkout, "rev-parse", "HEAD"), True, "")
    (checkout / "pkg" / "__init__.py").write_text("x = 2\n")
    assert code.check_out(record.commit, "pkg", checkout, tmp_path / "again")
    assert (tmp_path / "again" / "pkg" / "__init__.py").read_text() == "x = 1\n"
    assert (tmp_path / "again" / "pkg" / "room" / "data.csv").exists()
    assert not code.check_out("0" * 40, "pkg", checkout, tmp_path / "none")


@pytest.mark.parametrize("change", ["edited", "staged", "new", "ignored", "removed", "hidden"])
def test_whatever_a_commit_lacks_makes_a_copy(code, checkout, lamin, tmp_path, change):
    module = checkout / "pkg" / "__init__.py"
    if change in ("edited", "staged", "hidden"):
        if change == "hidden":
            git(checkout, "update-index", "--assume-unchanged", "pkg/__init__.py")
        module.write_text("x = 2\n")
    elif change == "removed":
        (checkout / "pkg" / "room" / "data.csv").unlink()
    else:
        (checkout / "pkg" / "new.py").write_text("y = 1\n")
        (checkout / ".git" / "info" / "exclude").write_text("new.py\n" if change == "ignored" else "")
    if change == "staged":
        git(checkout, "add", "--all")
    record = code.record(checkout, "pkg", {})
    assert record.commit
    assert not record.clean
    archive = lamin.Artifact.get(record.source).path
    kept = set(zipfile.ZipFile(archive).namelist())
    assert kept == {path.relative_to(checkout).as_posix() for path in code.package_files(checkout / "pkg")}
    assert code.record(checkout, "pkg", {}).source == record.source, "the same code is kept once"
    code.unpack(archive, tmp_path / "again")
    assert (tmp_path / "again" / "pkg" / "__init__.py").read_bytes() == module.read_bytes()


def test_a_package_that_git_does_not_keep_is_of_no_commit(code, checkout):
    installed = checkout / "venv"
    (installed / "pkg2").mkdir(parents=True)
    (installed / "pkg2" / "__init__.py").write_text("")
    (checkout / ".git" / "info" / "exclude").write_text("venv\n")
    record = code.record(installed, "pkg2", {})
    assert (record.commit, record.clean) == ("", False)
    assert record.source


def test_code_beside_the_notebooks_is_kept_with_the_package(code, checkout, lamin):
    helper = checkout / "helper.py"
    helper.write_text("z = 1\n")
    record = code.record(checkout, "pkg", {"helper.py": helper})
    assert not record.clean
    assert "helper.py" in zipfile.ZipFile(lamin.Artifact.get(record.source).path).namelist()


def test_an_altered_copy_is_put_back(code, checkout, lamin):
    (checkout / "pkg" / "__init__.py").write_text("x = 'altered copy'\n")
    kept = lamin.Artifact.get(code.record(checkout, "pkg", {}).source)
    kept.path.write_bytes(b"forged")
    assert code.record(checkout, "pkg", {}).source == kept.uid
    assert zipfile.is_zipfile(kept.path)
