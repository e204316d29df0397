"""From arrays that were read to those in use: masks, fewer samples, test points, scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.data.sets import DataSet, Reading
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
        if not _is_real(module.inputs[name]) or not np.isfinite(array).all():
            continue
        middle = array.mean(axis=0)
        for arrays in (train, test):
            if name in arrays and arrays[name].shape[1:] == middle.shape:
                arrays[name] = _scaled(arrays[name] - middle)
    return replace(data, train=MappingProxyType(train), test=MappingProxyType(test))


def _is_real(spec: InputSpec) -> bool:
    return spec.role == "input" and spec.type.below is None and spec.name != "mask"


def _scaled(array: np.ndarray) -> np.ndarray:
    import numpy as np

    size = np.sqrt((array.reshape(len(array), -1) ** 2).mean(axis=1))
    size[size == 0] = 1.0
    scaled: np.ndarray = array / size.reshape(-1, *[1] * (array.ndim - 1))
    return scaled


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
