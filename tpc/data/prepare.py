"""From arrays that were read to those in use: masks, fewer samples, test points, scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.data.sets import TEST_PREFIX, DataSet, Reading
from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import InputSpec, Module

Arrays = Mapping[str, "np.ndarray"]


def prepared(module: Module, data: DataSet, reading: Reading) -> DataSet:
    """Return the data as ``reading`` says.

    Raises:
        TpcError: there are test points already, or too few samples to split.
    """
    count = _count(data.train)
    if count is not None:
        data = _fewer(data, reading, count)
        data = _divided(data, reading)
    return _normalised(module, data) if reading.normalise else data


def _count(arrays: Arrays) -> int | None:
    """Return the number of samples, or None where arrays differ: that is refused elsewhere."""
    counts = {len(array) if array.ndim else 0 for array in arrays.values()}
    return counts.pop() if len(counts) == 1 else None


def _fewer(data: DataSet, reading: Reading, count: int) -> DataSet:
    if data.test:
        reading = replace(reading, test=0.0)
    wanted = reading.chosen(count)
    if len(wanted) == count:
        return data
    return replace(data, train=_rows(data.train, wanted))


def _divided(data: DataSet, reading: Reading) -> DataSet:
    """Split test points off, where the data have none."""
    if not reading.test or data.test:
        return data
    count = _count(data.train) or 0
    out = reading.held_out(count)
    return replace(data, train=_rows(data.train, ~out), test=_rows(data.train, out))


def _rows(arrays: Arrays, rows: np.ndarray) -> Arrays:
    return MappingProxyType({name: array[rows] for name, array in arrays.items()})


def _normalised(module: Module, data: DataSet) -> DataSet:
    """Subtract the training mean from real inputs; scale samples to a mean square of one."""
    import numpy as np

    train, test = dict(data.train), dict(data.test)
    for name, array in data.train.items():
        if not _is_real(module.inputs[name]):
            continue
        if any(side[name].dtype == object for side in (train, test) if name in side):
            _normalise_each(name, train, test)
            continue
        if not np.isfinite(array).all():
            continue
        middle = array.mean(axis=0)
        for arrays in (train, test):
            if name in arrays and arrays[name].shape[1:] == middle.shape:
                arrays[name] = _scaled(arrays[name] - middle)
    return replace(data, train=MappingProxyType(train), test=MappingProxyType(test))


def _normalise_each(name: str, train: dict[str, Any], test: dict[str, Any]) -> None:
    """Do it for samples of different lengths: a mean is over those that reach the position."""
    import numpy as np

    longest = max(len(sample) for sample in train[name])
    wide = np.full((len(train[name]), longest, *train[name][0].shape[1:]), np.nan)
    for row, sample in zip(wide, train[name], strict=True):
        row[: len(sample)] = sample
    middle = np.nanmean(wide, axis=0)
    for arrays in (train, test):
        if name not in arrays:
            continue
        found = np.empty(len(arrays[name]), dtype=object)
        for i, sample in enumerate(arrays[name]):
            own = np.array(sample, dtype=float)
            own[:longest] -= middle[: len(own)]
            found[i] = _scaled(own[None])[0]
        arrays[name] = found


def _is_real(spec: InputSpec) -> bool:
    return spec.role == "input" and spec.type.below is None and spec.name != "mask"


def _scaled(array: np.ndarray) -> np.ndarray:
    import numpy as np

    size = np.sqrt((array.reshape(len(array), -1) ** 2).mean(axis=1))
    size[size == 0] = 1.0
    scaled: np.ndarray = array / size.reshape(-1, *[1] * (array.ndim - 1))
    return scaled


LENGTH = "_length"
"""What the name of an array of lengths ends in."""


def sized(module: Module, arrays: Arrays) -> Arrays:
    """Return the arrays with every sample at its own length, or with a ``mask`` that says it.

    The lengths of input x along its first axis are the integers ``x_length`` (N,); those of tokens
    also end where zeros begin. Where the program has an input ``mask`` it takes the lengths; else
    arrays whose samples differ in length become arrays of arrays.

    Raises:
        TpcError: lengths that do not fit, or a zero before a token.
    """
    arrays = _padded_tokens(module, masked(module, arrays))
    for name in [n for n in arrays if n.endswith(LENGTH) and n not in module.inputs]:
        whose = name.removesuffix(LENGTH)
        base = whose if whose in module.inputs else whose.removeprefix(TEST_PREFIX)
        if whose in arrays and base in module.inputs:
            arrays = _cut(module, arrays, whose, name)
    return arrays


def _cut(module: Module, arrays: Arrays, whose: str, name: str) -> Arrays:
    """Cut samples at their lengths, or say them by the mask of the program."""
    import numpy as np

    rest = {key: value for key, value in arrays.items() if key != name}
    values, lengths = np.asarray(arrays[whose]), np.asarray(arrays[name])
    most = values.shape[1] if values.ndim > 1 else 0
    whole = lengths.dtype.kind in "iu" and lengths.shape == values.shape[:1]
    if not whole or (lengths < 1).any() or (lengths > most).any():
        raise TpcError(
            Diagnostic(
                "E0918",
                f"`{name}` {lengths.shape} does not hold the lengths of `{whose}` {values.shape}",
                help=f"give an integer from 1 to {most} for every sample",
            )
        )
    mask = whose.removesuffix(whose.removeprefix(TEST_PREFIX)) + "mask"
    if "mask" in module.inputs:
        rest.setdefault(mask, (np.arange(most) < lengths[:, None]).astype(float))
        return rest
    if (lengths == most).all():
        return rest
    found = np.empty(len(values), dtype=object)
    for i, length in enumerate(lengths):
        found[i] = values[i, :length]
    return {**rest, whose: found}


def _padded_tokens(module: Module, arrays: Arrays) -> Arrays:
    """Give tokens that end in zeros, in programs without a mask, their lengths."""
    import numpy as np

    found = dict(arrays)
    for name, array in arrays.items():
        base = name if name in module.inputs else name.removeprefix(TEST_PREFIX)
        spec = module.inputs.get(base)
        if spec is None or spec.type.below is None or spec.type.rank != 1:
            continue
        ids = np.asarray(array)
        if ids.dtype.kind not in "iu" or ids.ndim != 2 or name + LENGTH in arrays:
            continue
        kept = ids > 0
        if kept.all() or not kept[:, 0].all() or (np.diff(kept.astype(int), axis=1) > 0).any():
            continue
        found[name + LENGTH] = kept.sum(axis=1)
    return found


def masked(module: Module, arrays: Arrays) -> Arrays:
    """Return the arrays with a ``mask`` where a program has one and its tokens are padded by zeros.

    Raises:
        TpcError: a zero stands before a token.
    """
    import numpy as np

    tokens = [n for n, s in module.inputs.items() if s.type.below is not None and n in arrays]
    if "mask" not in module.inputs or "mask" in arrays or len(tokens) != 1:
        return arrays
    ids = np.asarray(arrays[tokens[0]])
    if ids.dtype.kind not in "iu":
        return arrays
    mask = ids > 0
    if (np.diff(mask.astype(int), axis=-1) > 0).any():
        raise TpcError(
            Diagnostic("E0918", f"`{tokens[0]}` has padding (zeros) before the end of a sequence")
        )
    return {**arrays, tokens[0]: np.maximum(ids, 1), "mask": mask.astype(float)}
