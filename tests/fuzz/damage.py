"""Ways to damage an h5ad file: bytes at random, and structures through h5py. Each is drawn from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

HUGE = 10**12
EXTREMES = (-1, 0, 1, 7, 40, 41, 255, 32767, 100_000, 2**31 - 1, -(2**31), 2**40)


def damage(path: Path, rng: np.random.Generator) -> str:
    """Damage a file in place, in one way of all; what was done, in words."""
    makers = BYTES if rng.random() < 0.4 else STRUCTURES
    made = makers[int(rng.integers(len(makers)))]
    try:
        told = made(path, rng)
    except Exception as error:  # such as a part that this form of the file has not: damage its bytes instead
        return f"{flip_bits(path, rng)} (not {made.__name__}: {type(error).__name__})"
    return f"{made.__name__}: {told}"


# ---- bytes


def flip_bits(path: Path, rng: np.random.Generator) -> str:
    return _edit(path, rng, int(rng.integers(1, 9)), lambda byte: byte ^ (1 << int(rng.integers(8))))


def replace_bytes(path: Path, rng: np.random.Generator) -> str:
    return _edit(path, rng, int(rng.integers(1, 5)), lambda byte: int(rng.integers(256)))


def flip_metadata(path: Path, rng: np.random.Generator) -> str:
    """In the first bytes, where the file's structure begins."""
    return _edit(path, rng, int(rng.integers(1, 4)), lambda byte: int(rng.integers(256)), within=2048)


def flip_attributes(path: Path, rng: np.random.Generator) -> str:
    """Near the name of an attribute, a type, a link."""
    data = path.read_bytes()
    words = [b"encoding-type", b"shape", b"indptr", b"TREE", b"HEAP", b"SNOD", b"OHDR", b"GCOL", b"_index"]
    places = [at for word in words for at in _all(data, word)]
    at = places[int(rng.integers(len(places)))] + int(rng.integers(-16, 64))
    return _write(path, at % len(data), bytes([int(rng.integers(256))]))


def zero_run(path: Path, rng: np.random.Generator) -> str:
    size, length = path.stat().st_size, int(rng.integers(1, 400))
    return _write(path, int(rng.integers(size)), bytes(length))


def cut_off(path: Path, rng: np.random.Generator) -> str:
    size = int(rng.integers(path.stat().st_size))
    with path.open("r+b") as file:
        file.truncate(size)
    return f"at {size:,}"


def damage_chunk(path: Path, rng: np.random.Generator) -> str:
    """The stored bytes of a compressed or checked piece."""
    with h5py.File(path) as file:
        chunked = [name for name in _datasets(file) if file[name].chunks and file[name].id.get_num_chunks()]
        name = chunked[int(rng.integers(len(chunked)))]
        found = file[name].id.get_chunk_info(int(rng.integers(file[name].id.get_num_chunks())))
    at = found.byte_offset + int(rng.integers(found.size))
    return f"{name}, {_write(path, at, bytes(rng.integers(0, 256, int(rng.integers(1, 30)), dtype=np.uint8)))}"


def _edit(path: Path, rng: np.random.Generator, n: int, change: Callable[[int], int], within: int = 0) -> str:
    data = bytearray(path.read_bytes())
    places = rng.integers(0, min(within or len(data), len(data)), n)
    for place in places:
        data[place] = change(data[place])
    path.write_bytes(data)
    return f"bytes {', '.join(map(str, sorted(places.tolist())))}"


def _write(path: Path, at: int, values: bytes) -> str:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(values)
    return f"{len(values)} bytes at {at:,}"


def _all(data: bytes, word: bytes) -> list[int]:
    places, at = [], data.find(word)
    while at >= 0:
        places.append(at)
        at = data.find(word, at + 1)
    return places


# ---- structures


def edit_number(path: Path, rng: np.random.Generator) -> str:
    """One number of a sparse matrix's pointers or indices, or of a category's codes."""
    with h5py.File(path, "r+") as file:
        names = [name for name in _datasets(file) if name.rpartition("/")[2] in ("indptr", "indices", "codes")]
        name = names[int(rng.integers(len(names)))]
        at, value = int(rng.choice([0, -1, int(rng.integers(len(file[name])))])), int(rng.choice(EXTREMES))
        values = file[name][:]
        values[at] = np.array(value).astype(values.dtype)
        file[name][...] = values
        return f"{name}[{at}] = {value}"


def shuffle_numbers(path: Path, rng: np.random.Generator) -> str:
    with h5py.File(path, "r+") as file:
        names = [name for name in _datasets(file) if name.rpartition("/")[2] in ("indptr", "indices", "codes")]
        name = names[int(rng.integers(len(names)))]
        file[name][...] = rng.permutation(file[name][:])
        return name


def other_type(path: Path, rng: np.random.Generator) -> str:
    kinds = ["f8", "f2", ">f4", ">i4", "i8", "u1", "i1", "u4", "u8", "bool", "c8", "S3", "g"]
    with h5py.File(path, "r+") as file:
        name, kind = _any(file, rng), str(rng.choice(kinds))
        values = file[name][()]
        if values.dtype.kind in "OSU":
            values = np.arange(values.size).reshape(values.shape)
        _replace(file, name, values.astype(kind))
        return f"{name} as {kind}"


def fractions(path: Path, rng: np.random.Generator) -> str:
    with h5py.File(path, "r+") as file:
        names = [name for name in _datasets(file) if name.rpartition("/")[2] in ("indptr", "indices", "codes")]
        name = names[int(rng.integers(len(names)))]
        values = file[name][:].astype("f8")
        values[int(rng.integers(len(values)))] += float(rng.choice([0.0, 0.5, np.nan, np.inf]))
        _replace(file, name, values)
        return name


def other_length(path: Path, rng: np.random.Generator) -> str:
    with h5py.File(path, "r+") as file:
        name = _any(file, rng)
        values, n = np.atleast_1d(file[name][()]), int(rng.integers(1, 12))
        made = [values[:-n], values[:0], np.concatenate([values, values[:n]]), values[:1], values[..., None], values[0]]
        change = int(rng.integers(len(made)))
        _replace(file, name, made[change])
        return f"{name}, change {change}"


def remove(path: Path, rng: np.random.Generator) -> str:
    with h5py.File(path, "r+") as file:
        names = _everything(file)
        name = names[int(rng.integers(len(names)))]
        del file[name]
        return name


def swap(path: Path, rng: np.random.Generator) -> str:
    """Two parts under each other's names."""
    with h5py.File(path, "r+") as file:
        names = _everything(file)
        one, other = (names[int(place)] for place in rng.choice(len(names), 2, replace=False))
        file.move(one, "__between")
        file.move(other, one)
        file.move("__between", other)
        return f"{one} and {other}"


def transpose(path: Path, rng: np.random.Generator) -> str:
    """X by the other axis, under the same or the other name."""
    import anndata as ad

    X = ad.read_h5ad(path).X
    with h5py.File(path, "r+") as file:
        if rng.random() < 0.5 and isinstance(file["X"], h5py.Group):
            other = "csc_matrix" if file["X"].attrs["encoding-type"] == "csr_matrix" else "csr_matrix"
            file["X"].attrs["encoding-type"] = other
            return f"X said to be {other}"
        del file["X"]
        ad.io.write_elem(file, "X", X.T.tocsr() if hasattr(X, "tocsr") else X.T.copy())
        return "X transposed"


def other_attribute(path: Path, rng: np.random.Generator) -> str:
    with h5py.File(path, "r+") as file:
        holders = [name for name in ["/", *_everything(file)] if len(file[name].attrs)]
        holder = file[holders[int(rng.integers(len(holders)))]]
        key = str(rng.choice(sorted(holder.attrs)))
        values = ["csr_matrix", "csc_matrix", "array", "dataframe", "categorical", "", b"\xff", "string-array", 3]
        values += [np.array([-1, 5]), np.array([HUGE, HUGE]), np.array([2.5, 3]), np.zeros(0), None, "nullable-integer"]
        values += [np.array(["condition", "condition"], dtype=h5py.string_dtype()), "missing", "0.1.0"]
        value = values[int(rng.integers(len(values)))]
        del holder.attrs[key]
        if value is not None:
            holder.attrs[key] = value
        return f"{holder.name}@{key} = {value!r}"


def huge(path: Path, rng: np.random.Generator) -> str:
    """A part that declares far more than there is."""
    with h5py.File(path, "r+") as file:
        name = _any(file, rng)
        kept = dict(file[name].attrs)
        kind, length = file[name].dtype, int(rng.choice([10**8, 10**9, HUGE]))
        shape = (length, *file[name].shape[1:]) if file[name].shape else (length,)
        del file[name]
        options = {"chunks": True} if rng.random() < 0.5 else {}
        made = file.create_dataset(name, shape=shape, dtype=kind, **options)
        made.attrs.update(kept)
        return f"{name} of {shape}"


def huge_numbers(path: Path, rng: np.random.Generator) -> str:
    """Pointers, shape and values that agree with each other, and with nothing that is stored."""
    with h5py.File(path, "r+") as file:
        length = int(rng.choice([10**9, HUGE]))
        for name in ("X/data", "X/indices"):
            kind = file[name].dtype
            del file[name]
            file.create_dataset(name, shape=(length,), dtype=kind, chunks=(1 << 15,), compression="gzip")
        pointers = file["X/indptr"][:].astype("i8")
        pointers[-1] = length
        _replace(file, "X/indptr", pointers)
        return f"{length:,} values"


def elsewhere(path: Path, rng: np.random.Generator) -> str:
    """A part that lies in another file, or nowhere, or in itself."""
    other = path.with_name("elsewhere.h5")
    with h5py.File(path, "r+") as file:
        name = _any(file, rng)
        values, kept = file[name][()], dict(file[name].attrs)
        with h5py.File(other, "w") as target:
            target.create_dataset("there", data=values).attrs.update(kept)
        kind = int(rng.integers(5))
        del file[name]
        if kind == 0:
            file[name] = h5py.ExternalLink(other.name, "there")
        elif kind == 1:
            file[name] = h5py.SoftLink("/nowhere")
        elif kind == 2:
            file[name] = h5py.SoftLink(f"/{name}")
        elif kind == 3 and values.dtype.kind in "biuf" and values.ndim:
            other.write_bytes(values.tobytes())
            made = file.create_dataset(name, values.shape, values.dtype, external=[(str(other), 0, values.nbytes)])
            made.attrs.update(kept)
        else:
            layout = h5py.VirtualLayout(values.shape, h5py.File(other)["there"].dtype)
            layout[...] = h5py.VirtualSource(str(other), "there", shape=values.shape)
            file.create_virtual_dataset(name, layout).attrs.update(kept)
        return f"{name}, way {kind}"


def other_names(path: Path, rng: np.random.Generator) -> str:
    """The names of cells or genes: repeated, empty, not text."""
    with h5py.File(path, "r+") as file:
        table = str(rng.choice(["obs", "var"]))
        name = f"{table}/{file[table].attrs['_index']}"
        values = file[name][:]
        made = [
            np.array([b"same"] * len(values), dtype=h5py.string_dtype()),
            np.arange(len(values)),
            np.array([b"\xff\xfe"] * len(values), dtype="S2"),
            np.where(np.arange(len(values)) == 3, b"", values),
            np.full(len(values), np.nan),
        ]
        change = int(rng.integers(len(made)))
        _replace(file, name, made[change])
        return f"{name}, change {change}"


def cycle(path: Path, rng: np.random.Generator) -> str:
    with h5py.File(path, "r+") as file:
        groups = [name for name in _everything(file) if isinstance(file[name], h5py.Group)]
        name = groups[int(rng.integers(len(groups)))]
        file[f"{name}/again"] = file[name] if rng.random() < 0.5 else file["/"]
        return f"{name}/again"


def nothing_there(path: Path, rng: np.random.Generator) -> str:
    """A group in place of an array, or the other way round."""
    with h5py.File(path, "r+") as file:
        names = _everything(file)
        name = names[int(rng.integers(len(names)))]
        was_group = isinstance(file[name], h5py.Group)
        kept = dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, data=np.arange(5)) if was_group else file.create_group(name)
        made.attrs.update(kept)
        return name


def _everything(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return sorted(names)


def _datasets(file: h5py.File) -> list[str]:
    return [name for name in _everything(file) if isinstance(file[name], h5py.Dataset)]


def _any(file: h5py.File, rng: np.random.Generator) -> str:
    """A dataset; those of X, obs and var more often than others."""
    names = _datasets(file)
    near = [name for name in names if name.split("/")[0] in ("X", "obs", "var")]
    chosen = near if near and rng.random() < 0.8 else names
    return chosen[int(rng.integers(len(chosen)))]


def _replace(file: h5py.File, name: str, values: object) -> None:
    kept = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=values).attrs.update(kept)


BYTES = (flip_bits, replace_bytes, flip_metadata, flip_attributes, zero_run, cut_off, damage_chunk)
STRUCTURES = (
    edit_number, edit_number, shuffle_numbers, other_type, fractions, other_length, other_length, remove, swap,
    transpose, other_attribute, other_attribute, huge, huge_numbers, elsewhere, other_names, cycle, nothing_there,
)  # fmt: skip
