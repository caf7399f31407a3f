"""The genes of a simulation: a few that were really targeted, the rest numbered."""

from __future__ import annotations

from collections.abc import Sequence

from perturbench_lamin.errors import InputError

_NORMAN19 = (
    "KLF1 CEBPA CEBPE CEBPB MAP2K6 MAP2K3 AHR FOXA1 FOXA3 HNF4A ETS2 DUSP9 UBASH3A UBASH3B SGK1 TBX2 TBX3 "
    "PTPN12 PTPN9 CNN1 CBL ZBTB10 ZBTB25 SET SAMD1 BPGM SNAI1 DLX2 FEV ISL2 IRF1 JUN COL2A1 LHX1 POU3F2 "
    "CDKN1A CDKN1B CDKN1C EGR1 BAK1 BCL2L11 TP73 RUNX1T1 PRDM1 IKZF3 OSR2 MAPK1 TGFBR2 SLC38A2 SLC4A1 "
    "HOXB9 FOXL2 FOXO4 HK2 IER5L KMT2A LYL1 MEIS1 MIDN NIT1 PLK4 SPI1 STIL TMSB4X"
)

_KINASES = (
    "MAP2K3 MAP2K6 MAP3K21 MAP4K3 MAP4K5 MAPK1 PLK4 SGK1 TGFBR2 EGFR CDK4 CDK6 AKT1 MTOR BRAF RAF1 SRC "
    "JAK1 MET KDR PDGFRA FGFR1 AURKA WEE1 CHEK1 ATR ATM GSK3B CSNK2A1 ROCK1"
)

NORMAN19_TARGETS = tuple(_NORMAN19.split(" "))
"""Genes that Norman et al. (2019) activated."""

KINASES = tuple(_KINASES.split(" "))
"""Kinases, as a screen of the kinome perturbs them."""


def gene_names(targets: Sequence[str], n_genes: int) -> list[str]:
    """The targets, and as many numbered genes as it takes."""
    return [*targets, *(f"GENE{number:05d}" for number in range(1, n_genes - len(targets) + 1))]


def ensembl_ids(n_genes: int) -> list[str]:
    """Identifiers that look like Ensembl's and are none of its own: they begin with a nine."""
    return [f"ENSG9{number:010d}" for number in range(1, n_genes + 1)]


def first_targets(targets: Sequence[str], n: int) -> tuple[str, ...]:
    """The first ``n`` of a list of genes.

    Raises:
        InputError: the list is shorter.
    """
    if n > len(targets):
        raise InputError(
            f"n_singles = {n} is more than the {len(targets)} genes that can be perturbed", where="SimulationConfig"
        )
    return tuple(targets[:n])
