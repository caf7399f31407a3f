"""A cell whose condition or covariate is missing or blank is an error that names it, never a condition of its own."""

from __future__ import annotations

import pandas as pd
import pytest

from perturbench_lamin.conditions import ObsKeys, require_obs
from perturbench_lamin.errors import InputError

KEYS = ObsKeys(covariates=("cell_type",))


def table(condition="KLF1", cell_type="k562", kind=object):
    columns = {"condition": ["control", "EGR1", condition], "cell_type": ["k562", "k562", cell_type]}
    return pd.DataFrame(columns, index=["a", "b", "c"]).astype(kind)


@pytest.mark.parametrize("kind", [object, "category"])
@pytest.mark.parametrize("column", ["condition", "cell_type"])
@pytest.mark.parametrize("blank", ["", "  ", "\t", None, pd.NA], ids=repr)
def test_it_is_named(blank, column, kind):
    with pytest.raises(InputError, match=rf"'{column}' has no value in 1 cells.*\n.*First such cell: c\."):
        require_obs(table(**{column: blank}, kind=kind), KEYS)


@pytest.mark.parametrize("name", ["nan", "NA", "0", "-"])
def test_short_names_are_names(name):
    require_obs(table(condition=name), KEYS)


def test_numbers_are_values():
    require_obs(table().assign(cell_type=[0, 0, 1]), KEYS)


def test_a_wrong_control_value_is_answered_with_the_controls_and_not_with_a_gene_of_a_like_name():
    obs = pd.DataFrame({"condition": ["NIT1", "KLF1", "Non-Targeting"], "cell_type": "a"}, index=list("xyz"))
    with pytest.raises(InputError, match=r"No cell has the control value 'NTC'(.|\n)*\n  Known: Non-Targeting\.$"):
        require_obs(obs, ObsKeys(control="NTC"))
    with pytest.raises(InputError, match=r"\n  Did you mean NIT1\?$"):
        require_obs(obs.iloc[:2], ObsKeys(control="NTC"))
