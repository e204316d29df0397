"""Samples of different shapes: sequences of different lengths, images of different sizes.

A sample is given to the program at its own sizes (``T = t`` for a sequence of length t), under the
same weights. Samples are grouped by their sizes; a kernel is made of blocks, one for each pair of
groups (:mod:`tpc.limit.between`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.limit import expressions as ex
from tpc.limit import pairs
from tpc.limit.bands import Options, fill, new_array, samples_checked
from tpc.limit.between import Family, Sizes
from tpc.limit.limit import Limit
from tpc.limit.samples import checked
from tpc.storage import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tpc.limit.kernels import Kernels

    Array = NDArray[np.float64]

COMPILED = 50_000_000
"""Expressions times pairs from which on a block is worth compiling."""


def ragged(limit: Limit, X: Any) -> bool:
    """Whether samples come one by one, with shapes of their own."""
    given = X if isinstance(X, Mapping) else dict.fromkeys(limit.inputs, X)
    return any(
        _one_by_one(given[name], shape) for name, shape in limit.inputs.items() if name in given
    )


def _one_by_one(values: Any, declared: tuple[int, ...]) -> bool:
    import numpy as np

    if isinstance(values, np.ndarray) and values.dtype != object:
        return False
    if not isinstance(values, (list, tuple, np.ndarray)) or not len(values):
        return False
    try:
        shapes = {np.shape(each) for each in values}
    except ValueError:
        return False
    return shapes != {declared} and any(len(shape) == len(declared) for shape in shapes)


class Samples:
    """Samples in groups of equal sizes.

    ``groups`` has, by sizes, which samples they are and their arrays by input name.
    """

    def __init__(self, limit: Limit, X: Any, naming: Naming) -> None:
        import numpy as np

        given = X if isinstance(X, Mapping) else _only(limit, X)
        if sorted(given) != sorted(limit.inputs):
            raise _misfit(f"inputs are {sorted(limit.inputs)}, not {sorted(given)}")
        lists = {name: [np.asarray(each) for each in values] for name, values in given.items()}
        counts = {len(values) for values in lists.values()}
        if len(counts) != 1:
            raise _misfit("the inputs have different numbers of samples")
        (self.count,) = counts
        places: dict[Sizes, list[int]] = {}
        for i in range(self.count):
            shapes = {name: values[i].shape for name, values in lists.items()}
            places.setdefault(naming.sizes(shapes, i), []).append(i)
        self.groups: dict[Sizes, tuple[Any, dict[str, Any]]] = {
            sizes: (np.array(own), {n: np.stack([v[i] for i in own]) for n, v in lists.items()})
            for sizes, own in sorted(places.items(), key=lambda each: sorted(each[0]))
        }


def given(limit: Limit, data: Mapping[str, Any], what: str = "data") -> tuple[dict[str, Any], int]:
    """Return the inputs of a limit, checked, and the number of samples.

    Where their shapes differ from sample to sample they are arrays of arrays.

    Raises:
        TpcError: as :func:`tpc.simulate.data.checked`.
    """
    import numpy as np

    from tpc.simulate import data as arrays

    own = {name: data[name] for name in limit.inputs if name in data}
    if len(own) < len(limit.inputs) or not ragged(limit, own):
        return arrays.checked(limit.module, data, limit.inputs, 1, what)
    family = family_of(limit)
    samples = Samples(limit, own, Naming(family))
    found = {name: np.empty(samples.count, dtype=object) for name in own}
    for sizes, (places, group) in samples.groups.items():
        checked_group, _ = arrays.checked(family.module(sizes), group, list(own), 1, what)
        for name, values in checked_group.items():
            for place, value in zip(places, values, strict=True):
                found[name][place] = value
    return found, samples.count


def joined(left: Any, right: Any) -> Any:
    """Return samples after others."""
    import numpy as np

    if object not in (left.dtype, right.dtype):
        return np.concatenate([left, right])
    found = np.empty(len(left) + len(right), dtype=object)
    for i, sample in enumerate([*left, *right]):
        found[i] = sample
    return found


def _only(limit: Limit, X: Any) -> dict[str, Any]:
    if len(limit.inputs) != 1:
        raise _misfit(f"several inputs: give a dict with {sorted(limit.inputs)}")
    return {next(iter(limit.inputs)): X}


def _misfit(message: str, help_: str | None = None) -> TpcError:
    return TpcError(Diagnostic("E0961", f"the samples do not fit: {message}", help=help_))


class Naming:
    """Which size of a program each axis of its inputs is, found out by changing sizes."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.inputs = family.base.inputs
        self._names: dict[tuple[str, int], str] = {}
        self._known: dict[tuple[Any, ...], Sizes] = {}

    def sizes(self, shapes: Mapping[str, tuple[int, ...]], sample: int) -> Sizes:
        """Return the sizes that make the program fit the shapes of one sample.

        Raises:
            TpcError: there are none, or one is larger than the program says.
        """
        key = tuple(sorted(shapes.items()))
        if key not in self._known:
            self._known[key] = self._sizes(shapes, sample)
        return self._known[key]

    def _sizes(self, shapes: Mapping[str, tuple[int, ...]], sample: int) -> Sizes:
        found: dict[str, int] = {}
        for name, declared in self.inputs.items():
            if len(shapes[name]) != len(declared):
                raise _misfit(
                    f"sample {sample + 1} of {name} has shape {shapes[name]}, not {declared}"
                )
            for axis, (own, most) in enumerate(zip(shapes[name], declared, strict=True)):
                if own != most:
                    size = self._named(name, axis, own, sample)
                    if found.setdefault(size, own) != own:
                        raise _misfit(f"sample {sample + 1} has {size} = {found[size]} and {own}")
        sizes = frozenset(found.items())
        inputs = self.family.module(sizes).inputs
        for name, shape in shapes.items():
            wanted = tuple(int(dim.count) for dim in inputs[name].type.dims)
            if shape != wanted:
                said = ", ".join(f"{key} = {value}" for key, value in sorted(found.items()))
                raise _misfit(
                    f"sample {sample + 1} of {name} has shape {shape}, not {wanted} as {said} says"
                )
        return sizes

    def _named(self, name: str, axis: int, extent: int, sample: int) -> str:
        """Return the size that an axis is."""
        most = self.inputs[name][axis]
        what = f"sample {sample + 1} of {name} has {extent} positions along axis {axis + 1}"
        if (name, axis) not in self._names:
            self._names[name, axis] = self._search(name, axis, extent, f"{what}, not {most}")
        size = self._names[name, axis]
        if extent > most:
            raise _misfit(
                f"{what}, more than the program's {size} = {most}",
                f"make room for the longest one: --set {size}={extent}, with_({size}={extent})",
            )
        return size

    def _search(self, name: str, axis: int, extent: int, what: str) -> str:
        faults = []
        for size in self.family.base.module.sizes:
            try:
                spec = self.family.module(frozenset({(size, extent)})).inputs[name]
            except TpcError as error:
                faults.append(f"{size} = {extent}: {error.diagnostics[0].headline}")
                continue
            if int(spec.type.dims[axis].count) == extent:
                return size
        why = f" ({'; '.join(faults)})" if faults else ""
        raise _misfit(
            f"{what}, and no size of the program makes it so{why}",
            "declare the axis by a size of its own: size T = .., input x : [T, d]",
        )


def family_of(limit: Limit) -> Family:
    """Return the limit at other sizes, derived once.

    Raises:
        TpcError: the limit knows its program at these sizes only.
    """
    if limit.resized is None:
        raise _misfit(
            "their shapes differ, and this limit knows one size of its program only",
            "take it from the program: program.limit(..)",
        )
    known = limit.__dict__.get("_family")
    if known is None:
        known = limit.__dict__["_family"] = Family(limit, limit.resized)
    return known


def evaluate(limits: Sequence[Limit], X: Any, X2: Any, options: Options) -> tuple[Array, Array]:
    """Return kernels (kinds, N, N2, kept axes twice) of samples of any shapes, and their errors.

    Raises:
        TpcError: samples that do not fit, a tolerance that cannot be met, or a program whose
            weights are not shared between sizes.
    """
    families = [family_of(each) for each in limits]
    naming = Naming(families[0])
    left = Samples(limits[0], X, naming)
    right = left if X2 is None else Samples(limits[0], X2, naming)
    kept = limits[0].kernels.kept
    shape = (len(limits), left.count, right.count, *kept, *kept)
    value, error = new_array(shape, options.dtype), new_array(shape, options.dtype)
    blocks = list(_pairs(left, right, X2 is None))
    for number, (one, two) in enumerate(blocks):
        part = _block(families, left, right, (one, two), X2 is None, options)
        rows, columns = left.groups[one][0], right.groups[two][0]
        for target, found in zip((value, error), part, strict=True):
            target[:, rows[:, None], columns] = found
            if X2 is None and one != two:
                target[:, columns[:, None], rows] = _mirrored(found, len(kept))
        if options.progress is not None:
            options.progress(number + 1, len(blocks))
    if options.out is not None:
        import numpy as np

        with replacing(options.out) as file:
            np.save(file, value[0] if len(limits) == 1 else value)
    return value, error


def diagonals(limits: Sequence[Limit], X: Any, options: Options) -> Array:
    """Return the kernels of samples with themselves, (kinds, N) and the kept axes twice.

    Raises:
        TpcError: as :func:`evaluate`.
    """
    from tpc.limit import evaluation

    families = [family_of(each) for each in limits]
    samples = Samples(limits[0], X, Naming(families[0]))
    kept = limits[0].kernels.kept
    found = new_array((len(limits), samples.count, *kept, *kept), options.dtype)
    for sizes, (places, data) in samples.groups.items():
        found[:, places] = evaluation.diagonals([f.at(sizes) for f in families], data, options)
    return found  # type: ignore[no-any-return]


def _pairs(left: Samples, right: Samples, symmetric: bool) -> Iterator[tuple[Sizes, Sizes]]:
    """Yield the blocks that are computed; the others are mirrored."""
    order = list(left.groups)
    for one in left.groups:
        for two in right.groups:
            if not symmetric or order.index(one) <= order.index(two):
                yield one, two


def _mirrored(block: Array, rank: int) -> Array:
    """Return (kinds, N, M, axes of x, axes of x') with x and x' exchanged."""
    first, second = range(3, 3 + rank), range(3 + rank, 3 + 2 * rank)
    return block.transpose(0, 2, 1, *second, *first)


def _block(
    families: Sequence[Family],
    left: Samples,
    right: Samples,
    sizes: tuple[Sizes, Sizes],
    symmetric: bool,
    options: Options,
) -> tuple[Array, Array]:
    """Return the kernels between two groups, and their errors."""
    import numpy as np

    from tpc.limit import evaluation

    one, two = left.groups[sizes[0]][1], right.groups[sizes[1]][1]
    options = replace(options, out=None, resume=False, plan=None, progress=None, dtype="float64")
    if sizes[0] != sizes[1]:
        found = [_between(each, sizes, (one, two), options) for each in families]
        return np.stack([value for value, _ in found]), np.stack([error for _, error in found])
    limits = [each.at(sizes[0]) for each in families]
    second = None if symmetric else two
    count = len(next(iter(one.values()))) * len(next(iter(two.values())))
    if all(type(each) is Limit and _direct(each.kernels, count) for each in limits):
        own = [_interpreted(each, one, second, options) for each in limits]
        return np.stack([value for value, _ in own]), np.stack([error for _, error in own])
    value = evaluation.evaluate(limits, one, second, options)
    return value, np.zeros_like(value)


def _direct(kernels: Kernels, count: int) -> bool:
    """Whether so many pairs are not worth compiling a kernel for."""
    return bool(pairs.expectations(kernels)) or (
        count * sum(e.cross for e in ex.walk(kernels.entries)) < COMPILED
    )


def _interpreted(limit: Limit, one: Any, two: Any, options: Options) -> tuple[Array, Array]:
    with samples_checked():
        left, right = (None if each is None else checked(limit.inputs, each) for each in (one, two))
    assert left is not None
    return pairs.evaluate(limit.kernels, left, right, options.tolerance, options.sampling)


def _between(
    family: Family,
    sizes: tuple[Sizes, Sizes],
    data: tuple[dict[str, Any], dict[str, Any]],
    options: Options,
) -> tuple[Array, Array]:
    """Return the kernel between two groups of different sizes, and its errors."""
    import numpy as np

    kernels = family.between(*sizes)
    with samples_checked():
        one, two = (
            checked(family.at(own).inputs, each) for own, each in zip(sizes, data, strict=True)
        )
    count = len(next(iter(one.values()))) * len(next(iter(two.values())))
    if not _direct(kernels, count):
        value = _compiled(family, kernels, one, two, options)
        return value, np.zeros_like(value)
    own = (family.own(sizes[0]), family.own(sizes[1]))
    return pairs.evaluate(kernels, one, two, options.tolerance, options.sampling, own)


def _compiled(
    family: Family, kernels: Kernels, one: dict[str, Any], two: dict[str, Any], options: Options
) -> Array:
    """Return a large block by generated code. What it computes of single samples it computes at all
    positions of both: the missing ones are filled up, and not read.
    """
    import numpy as np

    from tpc.codegen import load, module_source
    from tpc.limit.evaluation import CompiledWork

    inputs = family.base.inputs
    source = module_source(kernels, inputs, "Kernel between samples of two shapes.", "", 1e-10)
    left, right = ({n: _padded(a, inputs[n]) for n, a in each.items()} for each in (one, two))
    with samples_checked():
        work = CompiledWork(kernels, load(source), left, right, options.tolerance)
    found = new_array((1, work.rows, work.columns, *kernels.kept, *kernels.kept), "float64")
    fill(work, found, options)
    return np.asarray(found[0])


def _padded(array: Any, shape: tuple[int, ...]) -> Any:
    import numpy as np

    missing = [(0, most - own) for own, most in zip(array.shape[1:], shape, strict=True)]
    return np.pad(array, [(0, 0), *missing], mode="edge")
