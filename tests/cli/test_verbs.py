"""What all verbs share: their help, options taken as one value, names that are not known, instances that are read."""

from __future__ import annotations

from dataclasses import dataclass

import click
import pytest
from calling import call, invoke, refuse
from click.testing import CliRunner

from perturbench_lamin.catalog.datasets import DATASETS
from perturbench_lamin.chain.experiments import EXPERIMENTS
from perturbench_lamin.cli import chain, experiment
from perturbench_lamin.cli.command import Verb, bundle, under
from perturbench_lamin.cli.main import VERBS, cli
from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.profiles import PROFILES
from perturbench_lamin.models.registry import MODELS
from perturbench_lamin.splitting.tasks import TASKS


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_says_what_each_option_is(verb):
    text = call(verb, "--help")
    with click.Context(cli) as context:
        command = cli.get_command(context, verb)
    assert isinstance(command, Verb)
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert text.count(f"\n  {option.opts[0]} ") == 1, option.name
            assert f"\n{getattr(option, 'heading', 'Options')}:\n" in text
    assert "INTEGER RANGE" not in text


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        ("split", TASKS),
        ("evaluate", PROFILES),
        ("experiment", [*EXPERIMENTS, experiment.TUNING]),
        ("run", DATASETS),
        ("train", MODELS),
    ],
)
def test_what_may_be_named_is_listed(verb, names):
    words = set(call(verb, "--help").replace(",", " ").split())
    assert set(names) <= words


def test_options_are_taken_as_one_value():
    @dataclass(frozen=True)
    class Both:
        one: int
        others: tuple[str, ...]

    here = under("Here")
    options = {"one": here("--one", type=int, default=1), "others": here("--other", "others", multiple=True)}

    @click.command(cls=Verb)
    @bundle("both", Both, options)
    @click.option("--apart", default="a")
    def verb(both, apart):
        """Say it."""
        click.echo(f"{both} {apart}")

    run = CliRunner().invoke
    assert run(verb, []).output.strip().endswith("Both(one=1, others=()) a")
    said = run(verb, ["--other", "x", "--one", "3", "--apart", "b", "--other", "y"], catch_exceptions=False).output
    assert said.strip().endswith("Both(one=3, others=('x', 'y')) b")
    assert run(verb, ["--help"]).output.count("Here:") == 1


@pytest.mark.parametrize("words", [("lineage",), ("croissant", "--out", "c.json"), ("reproduce",), ("browse",)])
def test_what_is_to_be_read_is_not_made(words, tmp_path, monkeypatch):
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "settings"))
    monkeypatch.chdir(tmp_path)
    key = () if words == ("browse",) else ("curated/norman19.h5ad",)
    refuse("There is no instance", *words, *key, "--instance", "misspelt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("run", "nroman19"), "No dataset 'nroman19'.*\n.*Did you mean norman19"),
        (("run", "norman19", "--model", "linaer"), "Unknown model 'linaer'.*\n.*Did you mean linear"),
        (("run", "norman19", "--task", "combin"), "No 'combin'.*tasks of norman19.*\n.*Did you mean combine"),
        (("run", "norman19", "--set", "degs"), "Not NAME=VALUE"),
        (("experiment", "scalign"), "No experiment 'scalign'.*\n.*Did you mean scaling"),
        (("experiment", "tuning", "--model", "linaer"), "Unknown model 'linaer'.*\n.*Did you mean linear"),
        (("experiment", "imbalance", "--task", "balance-75"), "Did you mean balance-70"),
    ],
)
def test_a_name_that_is_not_known_is_told_with_the_nearest(words, match, tmp_path):
    refuse(match, *words, "--dry-run", "--instance", tmp_path / "here", kind=InputError)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [("--preset", "publishd", "'published'"), ("--memory", "ram", "'disk'"), ("--profile", "perturb", "'vcc'")],
)
def test_a_choice_that_is_not_known_is_told_with_all(option, value, known):
    result = invoke("run", "norman19", option, value)
    assert result.exit_code == 2
    assert known in result.output


@pytest.mark.parametrize("columns", [80, 100, 300])
def test_the_list_of_datasets_fits_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    said = call("datasets")
    assert max(map(len, said.splitlines())) <= min(columns, 120)
    words = said.replace(",", " ").split()
    for dataset in DATASETS.values():
        assert any(line.startswith(f"{dataset.name} ") for line in said.splitlines())
        assert {task.name for task in dataset.tasks} <= set(words)
        assert f"{dataset.curated.cells:,}" in said


def test_run_and_experiment_take_the_same_settings(monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(chain, "run_benchmark", lambda dataset, config, execution: taken.append((config, execution)))
    monkeypatch.setattr(experiment, "run_steps", lambda dataset, make, execution: taken.append((make, execution)))
    words = ("--batch-size", "50", "--precision", "16-mixed", "--devices", "2", "--memory", "disk", "--prefetch", "0")
    call("run", "norman19", *words, "--dry-run")
    call("experiment", "collapse", *words, "--force")
    config = taken[0][0]
    assert config.training() == {"max_epochs": None, "batch_size": 50, "precision": "16-mixed"}
    assert config.hardware() == {"accelerator": "auto", "memory": "disk", "prefetch": 0}
    assert (config.devices, config.seeds, config.preset) == (2, (1, 2), "quick")
    assert [(execution.dry_run, execution.force) for _, execution in taken] == [(True, False), (False, True)]
    train = next(step for step in taken[1][0](tmp_path) if step.name == "train linear seed 2")
    assert train.params | config.training() == train.params
    assert train.settings == config.hardware()
