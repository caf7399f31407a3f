"""The compounds of a simulation: a few real names, whose ``+`` and brackets are what readers stumble over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Compound:
    """A compound.

    Attributes:
        name: as a deposit names it.
        smiles: its structure.
    """

    name: str
    smiles: str


DMSO = Compound("Dimethyl Sulfoxide", "C[S+](C)[O-]")
"""The solvent, which is the control; its SMILES has a plus."""

COMPOUNDS = (
    Compound("Belinostat", "O=C(/C=C/c1cccc(S(=O)(=O)Nc2ccccc2)c1)NO"),
    Compound("Dabrafenib", "CC(C)(C)c1nc(-c2cccc(NS(=O)(=O)c3c(F)cccc3F)c2F)c(-c2ccnc(N)n2)s1"),
    Compound("Flutamide", "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1"),
    Compound("Clotrimazole", "Clc1ccccc1C(c1ccccc1)(c1ccccc1)n1ccnc1"),
    Compound("Lamivudine", "Nc1ccn([C@@H]2CS[C@H](CO)O2)c(=O)n1"),
    Compound("Dasatinib", "Cc1nc(Nc2ncc(C(=O)Nc3c(C)cccc3Cl)s2)cc(N2CCN(CCO)CC2)n1"),
    Compound("Nilutamide", "CC1(C)NC(=O)N(c2ccc([N+](=O)[O-])c(C(F)(F)F)c2)C1=O"),
    Compound("Aspirin", "CC(=O)Oc1ccccc1C(=O)O"),
)
"""The first two are positive controls in a screen of blood cells; two of the others have a plus in their SMILES."""

SCI_PLEX_DRUGS = (
    "(+)-JQ1",
    "ENMD-2076 L-(+)-Tartaric acid",
    "Belinostat (PXD101)",
    "Dasatinib",
    "Trametinib (GSK1120212)",
    "Panobinostat (LBH589)",
    "AG-14361 ",
    "Quisinostat (JNJ-26481585) 2HCl",
)
"""Names as sci-Plex 3 has them: with brackets, plus signs and a space at an end."""


def some_compounds(n: int) -> list[Compound]:
    """``n`` compounds: the known ones, then numbered chains, every other one a nitro compound."""
    made = (
        Compound(f"Compound {number}", f"{'C' * number}{'[N+](=O)[O-]' if number % 2 else 'O'}")
        for number in range(len(COMPOUNDS) + 1, n + 1)
    )
    return [*COMPOUNDS[:n], *made]


def some_drugs(n: int) -> list[str]:
    """``n`` drug names: the known ones, then numbered ones."""
    return [*SCI_PLEX_DRUGS[:n], *(f"Drug {number}" for number in range(len(SCI_PLEX_DRUGS) + 1, n + 1))]
