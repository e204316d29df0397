"""Generators of a polyhedral cone: the double description method in integers.

Motzkin, Raiffa, Thompson and Thrall (1953); adjacency by tight sets (Fukuda and Prodon 1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Cone:
    """The cone {sum of nonnegative multiples of rays} + span(lineality)."""

    rays: tuple[Vector, ...]
    lineality: tuple[Vector, ...]


@dataclass
class _State:
    lineality: list[Vector]
    rays: list[tuple[Vector, int]] = field(default_factory=list)  # (ray, bitmask of tight rows)


def generators(dimension: int, rows: Sequence[Vector]) -> Cone:
    """Return the extreme rays and the lineality space of {y : row . y >= 0 for every row}.

    Rays are primitive integer vectors, modulo the lineality space: their pivot coordinates of its
    reduced basis are zero.
    """
    identity = [tuple(int(i == j) for j in range(dimension)) for i in range(dimension)]
    state = _State(identity)
    for index, row in enumerate(rows):
        _cut(state, row, 1 << index)
    lineality = _reduced_basis(state.lineality)
    rays = {_modulo(ray, lineality) for ray, _ in state.rays}
    return Cone(tuple(sorted(rays)), tuple(lineality))


def _dot(u: Vector, v: Vector) -> int:
    return sum(x * y for x, y in zip(u, v, strict=True))


def _combine(p: int, u: Vector, q: int, v: Vector) -> Vector:
    return _primitive(tuple(p * x + q * y for x, y in zip(u, v, strict=True)))


def _primitive(v: Vector) -> Vector:
    divisor = gcd(*v)
    return tuple(x // divisor for x in v) if divisor > 1 else v


def _cut(state: _State, row: Vector, bit: int) -> None:
    """Intersect with the half-space row . y >= 0, whose tight sets are marked by `bit`."""
    for place, direction in enumerate(state.lineality):
        value = _dot(row, direction)
        if value:
            del state.lineality[place]
            _use_direction(state, row, bit, direction if value > 0 else _negate(direction))
            return
    positive, zero, negative = [], [], []
    for ray, tight in state.rays:
        value = _dot(row, ray)
        if value > 0:
            positive.append((ray, tight, value))
        elif value < 0:
            negative.append((ray, tight, value))
        else:
            zero.append((ray, tight | bit))
    every = [tight for _, tight in state.rays]
    for u, tight_u, value_u in positive:
        for v, tight_v, value_v in negative:
            common = tight_u & tight_v
            if sum(common & other == common for other in every) == 2:  # only u and v themselves
                zero.append((_combine(-value_v, u, value_u, v), common | bit))
    state.rays = [(ray, tight) for ray, tight, _ in positive] + zero


def _negate(v: Vector) -> Vector:
    return tuple(-x for x in v)


def _use_direction(state: _State, row: Vector, bit: int, direction: Vector) -> None:
    """Turn a line that the half-space cuts into a ray, and slide all else into the hyperplane."""
    value = _dot(row, direction)
    state.lineality = [
        _combine(value, other, -_dot(row, other), direction) for other in state.lineality
    ]
    state.rays = [
        (_combine(value, ray, -_dot(row, ray), direction), tight | bit) for ray, tight in state.rays
    ]
    state.rays.append((direction, bit - 1))  # tight on every row before this one


def _reduced_basis(vectors: Sequence[Vector]) -> list[Vector]:
    basis: list[Vector] = []
    for vector in vectors:
        rest = _modulo(vector, basis)
        if not any(rest):
            continue
        pivot = _pivot(rest)
        if rest[pivot] < 0:
            rest = _negate(rest)
        basis = [_clear(other, rest, pivot) for other in basis]
        basis.append(rest)
    return sorted(basis, key=_pivot)


def _pivot(vector: Vector) -> int:
    return next(i for i, x in enumerate(vector) if x)


def _clear(vector: Vector, by: Vector, pivot: int) -> Vector:
    """Return a positive multiple of `vector` minus a multiple of `by`, zero at `pivot`."""
    return _combine(by[pivot], vector, -vector[pivot], by) if vector[pivot] else vector


def _modulo(vector: Vector, basis: Sequence[Vector]) -> Vector:
    for other in basis:
        vector = _clear(vector, other, _pivot(other))
    return _primitive(vector)
