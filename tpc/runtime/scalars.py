"""Scalar functions that the source of activations calls; plain Python that Numba compiles."""

from __future__ import annotations

import math


def step(z: float) -> float:
    """Return 0, 1/2 or 1 for z below, at or above zero."""
    return 0.5 + 0.5 * sign(z)


def sign(z: float) -> float:
    """Return -1, 0 or 1 for z below, at or above zero."""
    return (1.0 if z > 0.0 else 0.0) - (1.0 if z < 0.0 else 0.0)


def sigmoid(z: float) -> float:
    """Return ``1 / (1 + exp(-z))`` without overflow."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    small = math.exp(z)
    return small / (1.0 + small)


def softplus(z: float) -> float:
    """Return ``log(1 + exp(z))`` without overflow."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))
