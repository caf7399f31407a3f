"""Whatever else stands beside the tables of cells and genes: layers, raw, obsm, varm, obsp, varp, unknown groups."""

from __future__ import annotations

from collections.abc import Mapping

from perturbench_lamin.comparison.file_pair import FilePair
from perturbench_lamin.comparison.h5ad_file import AXES, NUMBERED, H5adFile, axes
from perturbench_lamin.comparison.matching import Match
from perturbench_lamin.comparison.matrices import TooLargeError
from perturbench_lamin.comparison.matrix_parts import matrix_part
from perturbench_lamin.comparison.result import Part, combined
from perturbench_lamin.comparison.tables import compare_tables, one_sided
from perturbench_lamin.comparison.tree import Element, is_group, unlike
from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.errors import some

MATRICES = ("csr_matrix", "csc_matrix")
SCALED = ("X", "layers")
"""Expression: one that is the other up to a scale is equivalent."""


def x_part(pair: FilePair) -> Part | None:
    """X of both files; nothing where neither has one."""
    if pair.both_have("X"):
        return element_part(pair, "X", scaled=pair.counts_places != ("X", "X"))
    only_a, only_b = (["X"] if "X" in file.file else [] for file in (pair.a, pair.b))
    sides = one_sided("matrices", only_a, only_b, pair.config)
    return Part("X", **sides, details={"compared": False}) if only_a or only_b else None


def layers_part(pair: FilePair) -> Part | None:
    """The layers other than the counts."""
    return group_part(pair, "layers", without=(COUNTS_LAYER,))


def group_part(pair: FilePair, group: str, *, without: tuple[str, ...] = ()) -> Part | None:
    """The elements of a group, such as ``obsm``, by name; nothing where neither file has any."""
    left, right = ([name for name in file.file.names(group) if name not in without] for file in (pair.a, pair.b))
    if not left and not right:
        return None
    common = [name for name in left if name in right]
    only_a, only_b = ([name for name in one if name not in other] for one, other in ((left, right), (right, left)))
    parts = [element_part(pair, f"{group}/{name}", scaled=group in SCALED) for name in common]
    sides = one_sided(group, only_a, only_b, pair.config)
    return combined(group, parts, **sides, details={"only_a": only_a, "only_b": only_b})


def element_part(pair: FilePair, place: str, *, scaled: bool) -> Part:
    """An element that both files have: as matrices, as tables, or, where it is neither, exactly."""
    a, b = pair.a.file.stored(place), pair.b.file.stored(place)
    if all(_is_matrix(element) for element in (a, b)):
        if axes(place)[1] == NUMBERED and _widths(a) != _widths(b):
            return Part(place, differences=(f"{place} has another form",))
        try:
            return matrix_part(pair, place, place, place, scaled=scaled)
        except TooLargeError:
            return _exact_part(pair, place, a, b)
    kinds = [str(element.attrs.get("encoding-type", "array")) for element in (a, b)]
    if kinds == ["dataframe", "dataframe"]:
        return _table_part(pair, place)
    if kinds[0] != kinds[1]:
        return Part(place, differences=(f"{place} has another form ({kinds[0]} / {kinds[1]})",))
    return _exact_part(pair, place, a, b)


def _is_matrix(element: Element) -> bool:
    """Numbers in two axes or more."""
    if is_group(element):
        return element.attrs.get("encoding-type") in MATRICES or "h5sparse_format" in element.attrs  # anndata 0.6
    return element.ndim >= 2 and element.dtype.kind in "fiub"


def _widths(element: Element) -> tuple[int, ...]:
    attrs = element.attrs
    shape = attrs.get("shape", attrs.get("h5sparse_shape")) if is_group(element) else element.shape
    return tuple(int(number) for number in shape[1:])


def _table_part(pair: FilePair, place: str) -> Part:
    """A table with a row a cell or a gene, whose index is theirs."""
    axis = axes(place)[0]
    match = pair.match(axis)
    a, b = (file.file.table(place) for file in (pair.a, pair.b))
    found = compare_tables(place, a, b, (match.a, match.b), pair.config)
    if all(table.names.equals(file.table(axis).names) for table, file in ((a, pair.a), (b, pair.b))):
        return found
    unlike_names = int((a.names[match.a] != b.names[match.b]).sum())
    return combined(
        place, [found], differences=[f"{place} names {unlike_names:,} rows otherwise"] if unlike_names else ()
    )


def _exact_part(pair: FilePair, place: str, a: Element, b: Element) -> Part:
    """Neither matrices nor tables: compared where every row is the same row of the other file."""
    aligned = (pair.match(axis) for axis in axes(place) if axis != NUMBERED)
    if not all(_is_identity(match) for match in aligned):
        return Part(place, uncompared=(f"{place}: neither a matrix of numbers nor a table, in another order",))
    found = [one for one in unlike(a, b, place) if not one.form]
    return Part(place, differences=(f"{place} differs: {some(found, 3)}",) if found else ())


def _is_identity(match: Match) -> bool:
    return match.in_order and not (len(match.only_a) or len(match.only_b) or match.untold)


def raw_part(pair: FilePair) -> Part | None:
    """Raw: its matrix, its table of genes, and their arrays; nothing where neither file has one."""
    if not pair.both_have("raw"):
        return _raw_of_one(pair)
    parts = [genes] if (genes := _raw_genes(pair)) else []
    if pair.both_have("raw/X"):
        parts.append(element_part(pair, "raw/X", scaled=False))
    match = pair.raw_genes
    parts.append(compare_tables("raw/var", pair.a.raw_var, pair.b.raw_var, (match.a, match.b), pair.config))
    arrays = group_part(pair, "raw/varm")
    return combined("raw", [*parts, arrays] if arrays else parts)


def _raw_genes(pair: FilePair) -> Part | None:
    """The genes of raw that only one file has, and in which sense the others are the same."""
    match, a, b = pair.raw_genes, pair.a.raw_var.names, pair.b.raw_var.names
    sides = one_sided("genes of raw", list(a[match.only_a]), list(b[match.only_b]), pair.config)
    senses = ([] if match.how == "name" else [f"genes of raw matched by {match.how}"]) + (
        [] if match.in_order else ["order of the genes of raw"]
    )
    uncompared = (f"genes of raw that share a name: {some(match.untold, 3)}",) if match.untold else ()
    return Part("raw genes", (*senses, *sides["senses"]), sides["differences"], uncompared=uncompared)


def _raw_of_one(pair: FilePair) -> Part | None:
    """Raw that one file has: nothing is lacking where it holds the counts, which the other has elsewhere."""
    for side, file, place in zip("AB", (pair.a, pair.b), pair.counts_places, strict=True):
        if "raw" not in file.file:
            continue
        more = _beyond_counts(file) if place == "raw/X" and all(pair.counts_places) else ["raw"]
        if not more:
            return Part("raw", senses=(f"raw only in {side}: its counts, which were compared",))
        sides = one_sided("raw", more if side == "A" else [], more if side == "B" else [], pair.config)
        return Part("raw", **sides, details={"compared": False})
    return None


def _beyond_counts(file: H5adFile) -> list[str]:
    """What raw holds beyond the counts of the file's own genes."""
    genes = file.raw_var.names[~file.raw_var.names.isin(file.var.names)]
    columns = [f"raw/var/{name}" for name in file.raw_var.columns if name not in file.var.columns]
    return [
        *(f"raw/X of {gene}" for gene in genes),
        *columns,
        *(f"raw/varm/{name}" for name in file.file.names("raw/varm")),
    ]


GROUPS = ("layers", "obsm", "varm", "obsp", "varp")
KNOWN = frozenset(place.partition("/")[0] for place in AXES) | {"obs", "var", "uns", "raw"}


def others_part(pair: FilePair) -> Part | None:
    """What no other part looks at, compared exactly; nothing where there is nothing."""
    left, right = (_others(file) for file in (pair.a, pair.b))
    if not left and not right:
        return None
    parts = [_other_part(pair, place) for place in left if place in right]
    only_a, only_b = ([name for name in one if name not in other] for one, other in ((left, right), (right, left)))
    sides = one_sided("other elements", only_a, only_b, pair.config)
    details = {"others": len(left.keys() & right.keys()), "only_a": only_a, "only_b": only_b}
    return combined("others", parts, **sides, details=details)


def _others(file: H5adFile) -> Mapping[str, Element]:
    """Groups that AnnData does not have, and what tables hold beside their columns."""
    found = {name: file.file.stored(name) for name in file.file.names("") if name not in KNOWN}
    for axis in ("obs", "var", *(["raw/var"] if "raw/var" in file.file else [])):
        found |= {f"{axis}/{name}": file.file.stored(f"{axis}/{name}") for name in file.table(axis).others()}
    return found


def _other_part(pair: FilePair, place: str) -> Part:
    a, b = pair.a.file.stored(place), pair.b.file.stored(place)
    found = [one for one in unlike(a, b, place) if not one.form]
    if not found:
        return Part(place)
    if _is_identity(pair.cells) and _is_identity(pair.genes):
        return Part(place, differences=(f"{place} differs: {some(found, 3)}",))
    return Part(place, uncompared=(f"{place}: unlike, which may be due to the order of cells or genes",))


OLD_CATEGORIES = ("obs/__categories", "var/__categories", "raw/var/__categories")
"""Where anndata 0.7 kept the categories of a table's columns."""


def form_part(pair: FilePair) -> Part | None:
    """Where two files of the same content store it in another form; nothing where all is stored alike.

    Every element and attribute is looked at, the values of those that no other part compares exactly.
    """
    found = list(unlike(pair.a.file.root, pair.b.file.root, "", _is_small))
    if not found:
        return None
    # Of older files: categories that stand apart from their columns, with which they were compared.
    apart = {*OLD_CATEGORIES, *pair.a.file.old_category_places(), *pair.b.file.old_category_places()}
    forms = [one for one in found if one.form or one.place in apart or _are_categories(one.place)]
    content = [one for one in found if one not in forms]
    return Part(
        "form",
        senses=(f"stored in another form: {some(forms)}",) if forms else (),
        differences=tuple(f"{one.place} differs: {one.what}" for one in content),
        details={"forms": [str(one) for one in forms]},
    )


def _are_categories(place: str) -> bool:
    """Whether it lists a column's categories: their order, and those that no row has, are no content of the column."""
    return place.rpartition("/")[2] == "categories" or "__categories/" in place


def _is_small(place: str) -> bool:
    """Whether the values at a place are not compared by another part: categories, and the uns."""
    top, name = place.partition("/")[0], place.rpartition("/")[2]
    return top == "uns" or name == "categories" or "__categories" in place
