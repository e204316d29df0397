"""Samples as kernels take them: arrays by input name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def checked(inputs: Mapping[str, tuple[int, ...]], X: Any) -> dict[str, Any]:
    """Return samples by input name, float64; ``inputs`` are the shapes of one sample.

    Raises:
        ValueError: names or shapes do not fit, or something is not finite.
    """
    import numpy as np

    if not isinstance(X, Mapping):
        if len(inputs) != 1:
            raise ValueError(f"several inputs: give a dict with {sorted(inputs)}")
        X = {next(iter(inputs)): X}
    if sorted(X) != sorted(inputs):
        raise ValueError(f"inputs are {sorted(inputs)}, not {sorted(X)}")
    try:
        data = {name: np.asarray(X[name], dtype=np.float64) for name in inputs}
    except ValueError as error:
        raise ValueError("their shapes differ, or not all are numbers") from error
    for name, shape in inputs.items():
        if data[name].ndim == 0 or data[name].shape[1:] != tuple(shape):
            raise ValueError(f"{name} has shape {data[name].shape}, not (N, *{tuple(shape)})")
        if not len(data[name]):
            raise ValueError(f"{name} holds no samples")
        if not np.isfinite(data[name]).all():
            raise ValueError(f"{name} contains NaN or infinity")
    if len({len(values) for values in data.values()}) != 1:
        raise ValueError("the inputs have different numbers of samples")
    return data
