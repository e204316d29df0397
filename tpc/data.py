"""Reading a user's arrays: .npz and .npy files, named as the program names its inputs.

An array called ``test_x`` belongs to input ``x`` at the test points. A target of axes ``[k]`` also
takes integer class labels ``0..k-1`` of shape (N,), which become one-hot rows.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import InputSpec, Module

TEST_PREFIX = "test_"


@dataclass(frozen=True)
class DataSet:
    """Arrays by input name: the training points and, where given, the test points."""

    train: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]
    unused: tuple[str, ...] = ()


def load(module: Module, files: Iterable[str]) -> DataSet:
    """Read data files for a program: ``data.npz``, or ``name=array.npy`` for a single array.

    Raises:
        TpcError: a file cannot be read, or an array that the program needs is missing.
    """
    arrays: dict[str, np.ndarray] = {}
    for file in files:
        arrays |= _read(file)
    return split(module, arrays)


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


def _read(file: str) -> dict[str, np.ndarray]:
    name, equals, path = file.partition("=")
    if equals and name.isidentifier():
        return {name: _load_array(Path(path))}
    if file.endswith(".npy"):
        raise TpcError(
            Diagnostic(
                "E0911",
                f"{file} holds one array, and nothing says which input it is",
                help=f"give its name: --data x={file}",
            )
        )
    return _load_archive(Path(file))


def _load_array(path: Path) -> np.ndarray:
    import numpy as np

    with _reading(path):
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            raise ValueError("it is an archive of arrays, not one array")
        return loaded


def _load_archive(path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    with _reading(path):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it is one array without a name; give it as name=file")
        with loaded:
            return {name: loaded[name] for name in loaded.files}


class _reading:  # noqa: N801 - reads as a statement: with _reading(path)
    """Turn what NumPy and the file system raise into a diagnostic."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        faults = (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError)
        if isinstance(error, faults):
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if "pickle" in why.lower():
                why = "it is not an .npy or .npz file of plain numbers"
            raise TpcError(
                Diagnostic("E0912", f"cannot read data from {self.path}: {why}")
            ) from error


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
