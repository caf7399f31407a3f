import copy
import dataclasses
import importlib
import re

import pytest

from perturbench_lamin.catalog import datasets, outside
from perturbench_lamin.catalog.dataset import METHODS
from perturbench_lamin.catalog.datasets import DATASETS, aliases, datasets_table, find_dataset, get_dataset
from perturbench_lamin.catalog.new_dataset import Layout, new_dataset
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.tasks import TASKS, resolve_params

NAMES = ["norman19", "srivatsan20", "frangieh21", "mcfaline24", "jiang25", "szalata24"]


def test_the_six_datasets_are_there_in_order():
    assert list(DATASETS) == NAMES


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("sciplex3", "srivatsan20"),
        ("mcfaline23", "mcfaline24"),
        ("McFalineFigueroa23", "mcfaline24"),
        ("jiang24", "jiang25"),
        ("OP3", "szalata24"),
        ("norman19", "norman19"),
    ],
)
def test_aliases_in_any_case(alias, name):
    assert get_dataset(alias).name == name


def test_a_dataset_is_found_without_reading_the_others(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(datasets, "import_module", lambda name: read.append(name) or importlib.import_module(name))
    monkeypatch.setenv(outside.VARIABLE, str(tmp_path))
    layout = Layout("mine.h5ad", "gene", "NT", "", {"line": "cell_type"}, "X", "transfer", "CRISPRi")
    new_dataset("mine25", tmp_path, layout, tmp_path)
    assert get_dataset("Norman19") is find_dataset("norman19") is DATASETS["norman19"]
    assert get_dataset("mine25").name == find_dataset("mine25").name == "mine25"
    assert find_dataset("mine24") is None
    assert set(read) == {"perturbench_lamin.catalog.norman19"}, "a step that reads another's file runs again each time"


def test_no_alias_is_also_a_name_or_another_datasets_alias():
    listed = [alias for dataset in DATASETS.values() for alias in dataset.aliases]
    assert len(listed) == len(set(listed)) == len(aliases())
    assert not set(listed) & set(DATASETS)
    assert all(alias == alias.lower() for alias in aliases())


def test_unknown_dataset_names_the_nearest():
    with pytest.raises(InputError, match="norman19"):
        get_dataset("norman91")


def test_files_belong_to_their_dataset_and_end_in_their_name():
    for dataset in DATASETS.values():
        for file in (*dataset.raw_files, *dataset.deposited):
            assert file.dataset == dataset.name
            assert file.url.split("?")[0].endswith(f"/{file.name}")
            assert file.url.startswith("https://")


def test_checksums_are_whole_or_unknown():
    for dataset in DATASETS.values():
        for file in (*dataset.raw_files, *dataset.deposited):
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
        assert all(file.sha256 for file in dataset.deposited)


def test_deposited_checksums_are_those_of_the_deposits_description(shared_file):
    lines = shared_file("reference/deposited_files.csv").read_text().splitlines()[1:]
    described = {line.split(",")[1] for line in lines}
    assert {file.sha256 for dataset in DATASETS.values() for file in dataset.deposited} <= described


def test_known_addresses():
    assert get_dataset("norman19").raw_files[0].url == (
        "https://zenodo.org/records/7041849/files/NormanWeissman2019_filtered.h5ad?download=1"
    )
    assert get_dataset("mcfaline24").raw_files[0].url == (
        "https://ftp.ncbi.nlm.nih.gov/geo/samples/GSM7056nnn/GSM7056148/suppl/"
        "GSM7056148_sciPlexGxE_1_preprocessed_cds.rds.gz"
    )
    assert get_dataset("op3").raw_files[0].size == 14_202_156_609


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_the_splitting_rooms_tasks_and_options(name):
    dataset = get_dataset(name)
    for task in dataset.tasks:
        assert task.covariates == ObsKeys(covariates=dataset.covariates).covariates
        assert task.method in TASKS
        params = resolve_params(task.method, task.options)
        assert params.seed == task.seed
        for option, value in task.parameters.items():
            assert getattr(params, option) == value


def test_norman_task():
    task = get_dataset("norman19").task("combine")
    assert task.method == "combine"
    assert task.options == {"max_heldout_fraction": 0.7, "seed": 42}


def test_task_names_are_unique_and_fit_for_file_names():
    for dataset in DATASETS.values():
        names = [task.name for task in dataset.tasks]
        assert len(names) == len(set(names))
        assert all(re.fullmatch("[a-z0-9-]+", name) for name in names)


def test_tasks_of_the_benchmark():
    assert {name: [task.name for task in dataset.tasks] for name, dataset in DATASETS.items()} == {
        "norman19": ["combine", "combine-inverse", "unseen"],
        "srivatsan20": ["transfer", "balance-100", "balance-90", "balance-80", "balance-70", "unseen"],
        "frangieh21": ["transfer", "unseen"],
        "mcfaline24": [
            "transfer",
            "scaling-small",
            "scaling-medium",
            "scaling-full",
            "scaling-perturbations-small",
            "scaling-perturbations-medium",
            "scaling-perturbations-full",
            "unseen",
        ],
        "jiang25": ["transfer", "unseen"],
        "szalata24": ["transfer", "unseen"],
    }


def test_scaling_sizes_differ_in_what_is_trained_on_alone():
    dataset = get_dataset("mcfaline24")
    for family, option in (("scaling", "train_states"), ("scaling-perturbations", "level")):
        options = [dict(dataset.task(f"{family}-{size}").options) for size in ("small", "medium", "full")]
        sizes = [given.pop(option) for given in options]
        assert options[0] == options[1] == options[2]
        assert len(set(sizes)) == 3


def test_jiang_holds_out_twelve_states():
    states = get_dataset("jiang25").task("transfer").parameters["heldout_states"]
    assert len(set(states)) == 12


def test_lookups_name_the_nearest():
    dataset = get_dataset("norman19")
    assert dataset.raw_file("NormanWeissman2019_filtered.h5ad") is dataset.raw_files[0]
    with pytest.raises(InputError, match="Did you mean combine"):
        dataset.task("combined")
    with pytest.raises(InputError, match="NormanWeissman2019_filtered"):
        dataset.raw_file("NormanWeissman2019.h5ad")


def test_the_methods_of_tasks_are_those_that_there_are():
    assert tuple(TASKS) == METHODS


def test_records_are_plain_data():
    for dataset in DATASETS.values():
        assert copy.deepcopy(dataset) == dataset
        assert dataclasses.asdict(dataset)["name"] == dataset.name


def test_table_has_a_row_a_dataset():
    table = datasets_table()
    assert list(table.index) == NAMES
    assert table.loc["norman19", "tasks"] == "combine, combine-inverse, unseen"
    assert table.loc["szalata24", "doi"] == ""
    assert not table.drop(columns=["genes", "conditions"]).isna().any().any()
