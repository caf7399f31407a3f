"""Names of compounds as vendors write them, and the plain names in them that an ontology may have."""

from __future__ import annotations

import re

_SALTS = (
    "hcl 2hcl hydrochloride dihydrochloride mesylate tosylate ditosylate citrate phosphate diphosphate sodium "
    "disodium trihydrate hydrate"
)
SALTS = frozenset(_SALTS.split(" "))
INCHIKEY = re.compile(r"[A-Z]{14}-[A-Z]{10}-[A-Z]")


def plain_names(name: str) -> list[tuple[str, str]]:
    """Names to look a vendor's name up by, most literal first, each with how it was derived.

    ``Lapatinib (GW-572016) Ditosylate`` gives itself, ``Lapatinib Ditosylate``, ``Lapatinib`` and ``GW-572016``.
    """
    found = [(name, "")]
    match = re.fullmatch(r"(\S.*?)\s+\(([^()]+)\)(.*)", name)
    outer = f"{match[1]}{match[3]}" if match else name
    found.append((outer, "without the parenthesis"))
    words = outer.split(" ")
    while len(words) > 1 and words[-1].casefold() in SALTS:
        words.pop()
    found.append((" ".join(words), "without the salt"))
    if match:
        found += [(part.strip(), "the name in the parenthesis") for part in match[2].split(",")]
    return [one for place, one in enumerate(found) if one[0] and one[0] not in [name for name, _ in found[:place]]]


def is_inchikey(text: str) -> bool:
    """Whether a text has the form of a standard InChIKey (27 characters: 14, 10 and 1 capital letters)."""
    return INCHIKEY.fullmatch(text) is not None
