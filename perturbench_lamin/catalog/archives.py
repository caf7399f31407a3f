"""Where the archives keep their files."""

from __future__ import annotations

from perturbench_lamin.catalog.dataset import RawFile

SCPERTURB_RECORD = "7041849"
"""scPerturb's Zenodo record that the benchmark reads; later records hold corrected objects."""


def zenodo_file(dataset: str, record: str, name: str) -> RawFile:
    """A file of a Zenodo record."""
    return RawFile(name, f"https://zenodo.org/records/{record}/files/{name}?download=1", dataset)


def geo_sample_file(dataset: str, sample: str, name: str) -> RawFile:
    """A supplementary file of a GEO sample."""
    return RawFile(name, f"https://ftp.ncbi.nlm.nih.gov/geo/samples/{sample[:-3]}nnn/{sample}/suppl/{name}", dataset)


def geo_series_file(dataset: str, series: str, name: str, *, size: int | None = None) -> RawFile:
    """A supplementary file of a GEO series."""
    url = f"https://ftp.ncbi.nlm.nih.gov/geo/series/{series[:-3]}nnn/{series}/suppl/{name}"
    return RawFile(name, url, dataset, size=size)


def deposited_file(dataset: str, name: str, sha256: str) -> RawFile:
    """A file of the published benchmark's own deposit, with the checksum in its description of September 2025.

    The deposit may have been changed since: then the checksum no longer agrees.
    """
    base = "https://huggingface.co/datasets/altoslabs/perturbench/resolve/main"
    return RawFile(name, f"{base}/{name}", dataset, sha256=sha256)
