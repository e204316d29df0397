"""A user's arrays by the names of a program's inputs: training and test points.

An array called ``test_x`` belongs to input ``x`` at the test points. A target of axes ``[k]`` also
takes integer class labels ``0..k-1`` of shape (N,), which become one-hot rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import InputSpec, Module

TEST_PREFIX = "test_"


@dataclass(frozen=True)
class DataSet:
    """Arrays by input name: the training points and, where given, the test points.

    ``names`` has what the numbers of an input or target stand for: classes, or tokens.
    """

    train: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]
    unused: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How data are read.

    * ``test``: the share of samples that become test points, if the data have none of their own;
    * ``most``: at most so many training samples; they and the test points are drawn by ``seed``;
    * ``normalise``: real inputs lose the mean of the training samples, and every sample is scaled
      to a mean square of one;
    * ``tokens``: what a text is cut into, "characters", "words" or "bytes";
    * ``stride``: how many tokens apart the windows of a text start (by default their length).
    """

    test: float = 0.0
    most: int | None = None
    seed: int = 0
    normalise: bool = False
    tokens: str = "characters"
    stride: int | None = None

    def chosen(self, count: int) -> np.ndarray:
        """Return which of ``count`` samples are used, ascending."""
        import numpy as np

        wanted = count if self.most is None else round(self.most / (1.0 - self.test))
        if wanted >= count:
            return np.arange(count)
        return np.sort(np.random.default_rng([self.seed, count]).permutation(count)[:wanted])

    def held_out(self, count: int) -> np.ndarray:
        """Return which of the samples in use are test points, as booleans."""
        import numpy as np

        number = round(self.test * count)
        if self.test and not 1 <= number < count:
            raise TpcError(
                Diagnostic(
                    "E0914", f"{count} samples cannot be split into {self.test:g} and the rest"
                )
            )
        result = np.zeros(count, dtype=bool)
        order = np.random.default_rng([self.seed, count, 1]).permutation(count)
        result[order[:number]] = True
        return result


def split(module: Module, arrays: Mapping[str, np.ndarray]) -> DataSet:
    """Sort arrays into training and test points; encode class labels."""
    train, test, unused = {}, {}, []
    for name, array in arrays.items():
        if name in module.inputs:
            train[name] = _encode(module.inputs[name], array)
        elif (base := name.removeprefix(TEST_PREFIX)) in module.inputs and base != name:
            test[base] = _encode(module.inputs[base], array)
        else:
            unused.append(name)
    needed = [name for name, spec in module.inputs.items() if spec.role == "input"]
    missing = [name for name in needed if name not in train]
    if missing:
        raise TpcError(_missing(missing, arrays))
    return DataSet(MappingProxyType(train), MappingProxyType(test), tuple(unused))


def drawn_batches(
    arrays: Mapping[str, np.ndarray], size: int | None, steps: int, seed: int = 0
) -> tuple[np.ndarray, ...] | None:
    """Return minibatches of a size for every step; None, all samples, where no size is given.

    Raises:
        TpcError: the data cannot fill such a batch.
    """
    from tpc.simulate import minibatches

    if size is None or not steps:
        return None
    count = len(next(iter(arrays.values())))
    if not 1 <= size <= count:
        raise TpcError(Diagnostic("E0914", f"batches of {size} samples out of {count} in the data"))
    return minibatches(count, size, steps, seed)


def _missing(missing: list[str], arrays: Mapping[str, np.ndarray]) -> Diagnostic:
    names = ", ".join(f"`{name}`" for name in missing)
    given = ", ".join(f"`{name}` {array.shape}" for name, array in arrays.items()) or "nothing"
    hint = did_you_mean(missing[0], arrays)
    return Diagnostic(
        "E0910",
        f"the data has no array for input {names}",
        help=f"the file holds {given}; name arrays as the program names its inputs"
        + (f" ({hint})" if hint else ""),
    )


def _encode(spec: InputSpec, array: np.ndarray) -> np.ndarray:
    """Turn class labels (N,) into one-hot rows (N, k) for a real target of axes [k]."""
    import numpy as np

    labels = spec.role == "target" and spec.type.below is None and spec.type.rank == 1
    if not labels or array.ndim != 1 or array.dtype.kind not in "iu":
        return array
    classes = int(spec.type.dims[0].count)
    if classes == 1:
        return array.reshape(-1, 1)
    if array.size and (array.min() < 0 or array.max() >= classes):
        raise TpcError(
            Diagnostic(
                "E0913",
                f"target `{spec.name}` has {classes} classes, the labels run from {array.min()} "
                f"to {array.max()}",
                help=f"count classes from 0 to {classes - 1}",
            )
        )
    rows: np.ndarray = np.eye(classes)[array]
    return rows
