"""The genes of a simulation: a few that were really targeted, the rest numbered."""

from __future__ import annotations

from collections.abc import Sequence

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

_REGULATORS = (
    "STAT1 STAT2 IRF9 JAK1 JAK2 TYK2 IFNAR1 IFNAR2 IFNGR1 IFNGR2 IRF1 USP18 SMAD2 SMAD3 SMAD4 TGFBR1 TGFBR2 "
    "TNFRSF1A TRADD TRAF2 RIPK1 IKBKB IKBKG RELA NFKB1 NFKBIA TNFAIP3 INSR IRS1 IRS2 PIK3CA PDPK1 AKT2 TSC1 TSC2 "
    "MTOR FOXO1 B2M HLA-A CD58 CDK6 CTNNB1 SOCS1 PTPN2"
)

NORMAN19_TARGETS = tuple(_NORMAN19.split(" "))
"""Genes that Norman et al. (2019) activated."""

KINASES = tuple(_KINASES.split(" "))
"""Kinases, as a screen of the kinome perturbs them."""


REGULATORS = tuple(_REGULATORS.split(" "))
"""Genes of signalling and of recognition by T cells, as screens under cytokines knock them out or down."""


def gene_names(targets: Sequence[str], n_genes: int) -> list[str]:
    """The targets, and as many numbered genes as it takes."""
    return [*targets, *(f"GENE{number:05d}" for number in range(1, n_genes - len(targets) + 1))]


def ensembl_ids(n_genes: int) -> list[str]:
    """Identifiers that look like Ensembl's and are none of its own: they begin with a nine."""
    return [f"ENSG9{number:010d}" for number in range(1, n_genes + 1)]


def any_targets(known: Sequence[str], n: int) -> tuple[str, ...]:
    """``n`` genes to act on: the first known ones, then numbered ones, for screens of any size."""
    return (*known[:n], *(f"TARGET{number:03d}" for number in range(len(known) + 1, n + 1)))
