"""Looking terms up by name: exactly, else in another case, else by synonym, never by guess."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.metadata.names import is_inchikey, plain_names
from perturbench_lamin.metadata.ontologies import Ontology, shipped
from perturbench_lamin.metadata.terms import CELL_LINE, CELL_TYPE, COMPOUND


def ontology(*rows: tuple[str, str, str]) -> Ontology:
    return Ontology(CELL_LINE, "Test", "1", pd.DataFrame(rows, columns=["ontology_id", "name", "synonyms"]))


SMALL = ontology(
    ("X:1", "K-562", "K562|Kay"), ("X:2", "k-562", ""), ("X:3", "HeLa", "Kay"), ("X:4", "Twin", ""), ("X:5", "Twin", "")
)


@pytest.mark.parametrize(
    ("value", "found", "how"),
    [
        ("K-562", "X:1", "name in Test"),
        ("k-562", "X:2", "name in Test"),
        ("HELA", "X:3", "name in Test, in another case"),
        ("k562", "X:1", "synonym in Test"),
    ],
)
def test_names_before_other_cases_before_synonyms(value, found, how):
    term = SMALL.find(value)
    assert (term.ontology_id, term.how) == (found, how)


@pytest.mark.parametrize("value", ["Twin", "twin", "Kay", "K-562 ", ""])
def test_what_is_unknown_or_ambiguous_is_not_found(value):
    assert SMALL.find(value) is None


names = st.text(alphabet="abAB1-", min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=1, max_size=12, unique_by=str.casefold))
def test_each_of_different_names_finds_itself_in_any_case(some):
    terms = ontology(*((f"X:{number}", name, "") for number, name in enumerate(some)))
    for number, name in enumerate(some):
        assert terms.find(name).ontology_id == terms.find(name.swapcase()).ontology_id == f"X:{number}"
        assert terms.get(f"X:{number}").name == name
        assert terms.nearest(name, n=len(some))


def test_the_nearest_differ_in_signs_first():
    assert shipped(CELL_LINE).nearest("k562")[0] == "K-562 (CVCL_0004)"
    assert shipped(CELL_TYPE).nearest("T cel") == ("T cell (CL:0000084)",)
    assert shipped(COMPOUND).nearest("belinostta")[0] == "belinostat (CHEBI:61076)"
    assert shipped(CELL_TYPE).nearest("§§§§§§§§§§") == ()


def test_shipped_ontologies_have_a_version_and_no_obsolete_term():
    cells = shipped(CELL_TYPE)
    assert cells.version.startswith("v20")
    assert cells.table["ontology_id"].is_unique
    assert not cells.table["name"].str.startswith("obsolete").any()
    assert cells.find("NK cell").name == "natural killer cell"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Belinostat", ["Belinostat"]),
        ("Lapatinib (GW-572016) Ditosylate", ["Lapatinib Ditosylate", "Lapatinib", "GW-572016"]),
        ("Fluorouracil (5-Fluoracil, 5-FU)", ["Fluorouracil", "5-Fluoracil", "5-FU"]),
        ("Alendronate sodium trihydrate", ["Alendronate"]),
        ("(+)-JQ1", ["(+)-JQ1"]),
        ("Sodium Phenylbutyrate", ["Sodium Phenylbutyrate"]),
        ("phosphate", ["phosphate"]),
    ],
)
def test_plain_names_in_vendors_names(name, plain):
    found = [one for one, _ in plain_names(name)]
    assert found == list(dict.fromkeys([name, *plain]))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab (),1+-", min_size=1, max_size=20))
def test_a_name_stands_first_and_none_is_empty_or_twice(name):
    found = [one for one, _ in plain_names(name)]
    assert found[0] == name
    assert all(found)
    assert len(set(found)) == len(found)


def test_inchikeys():
    assert is_inchikey("NCNRHFGMJRPRSK-MDZDMXLPSA-N")
    assert not is_inchikey("NCNRHFGMJRPRSK-MDZDMXLPSA-N ")
    assert not is_inchikey("ncnrhfgmjrprsk-mdzdmxlpsa-n")
