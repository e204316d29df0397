"""Products and contractions of values by the labels of their width axes."""

from __future__ import annotations

from tpc.scaling.characters import TRIVIAL, product
from tpc.scaling.entries import hadamard
from tpc.scaling.outer import Outer
from tpc.scaling.state import Value
from tpc.scaling.terms import Terms
from tpc.scaling.tropical import Number

Labels = tuple[int, ...]


def contract_values(
    x: Value,
    y: Value,
    left: Labels,
    right: Labels,
    out: Labels,
    half: Number,
    full: Number | None = None,
) -> Value | None:
    """Return `sum over labels not in out of x * y`; None where it is no scalar, vector or matrix.

    ``left``, ``right`` and ``out`` label the width axes alone: none for a scalar, one for a vector,
    two for a matrix. ``full`` is the exponent that a sum over the width of terms of equal signs
    gains, where that is less than 1.
    """
    if len(left) < len(right):
        return contract_values(y, x, right, left, out, half, full)
    if isinstance(x, Terms) and isinstance(y, Terms):
        return _vectors(x, y, left, right, out, half, full)
    assert isinstance(x, Outer)
    if isinstance(y, Outer):
        return _matrices(x, y, left, right, out, half)
    return _matrix_vector(x, y, left, right, out, half, full)


def _vectors(
    x: Terms,
    y: Terms,
    left: Labels,
    right: Labels,
    out: Labels,
    half: Number,
    full: Number | None,
) -> Value | None:
    if not right:
        found = x * y
        return found if out else _total(found, left, half)
    if left != right:
        if not out:
            return _total(x, left, half) * _total(y, right, half)
        if len(out) == 1:
            x, y = (x, _total(y, right, half)) if out == left else (_total(x, left, half), y)
            return x * y
        return Outer.of(x, y) if out == (*left, *right) else Outer.of(y, x)
    if out:
        return x * y
    return Terms.single(TRIVIAL, x.inner(y, half, full))


def _total(x: Terms, labels: Labels, half: Number) -> Terms:
    """Return the sum over the width axis of x, if it has one."""
    return Terms.single(TRIVIAL, x.inner(Terms.single(TRIVIAL, 0), half)) if labels else x


def _matrix_vector(
    x: Outer,
    y: Terms,
    left: Labels,
    right: Labels,
    out: Labels,
    half: Number,
    full: Number | None,
) -> Value | None:
    if not right:
        result: Value = x.shift(y.smallest) if y else Outer()
        return result if out == left else _order(result, left, out)
    (label,) = right
    if label not in left or not out:
        return None
    if label in out:
        return _order(_entries(x, y, left.index(label)), left, out)
    matrix = x if label == left[1] else x.transposed
    return matrix.apply(y, half, full)


def _order(matrix: Value | None, left: Labels, out: Labels) -> Value | None:
    if matrix is None or out == left:
        return matrix
    return matrix.transposed if isinstance(matrix, Outer) and out == left[::-1] else None


def _entries(x: Outer, y: Terms, side: int) -> Outer:
    """Return the matrix with rows (side 0) or columns multiplied by a vector's entries."""
    factors = [((u, TRIVIAL) if side == 0 else (TRIVIAL, u), f) for u, f in y]
    return Outer(
        ((w.dressed(*pair), e + f) for w, e in x.weights.items() for pair, f in factors),
        (
            ((product(u, pair[0]), product(v, pair[1])), e + f)
            for (u, v), e in x.products.items()
            for pair, f in factors
        ),
    )


def _matrices(
    x: Outer, y: Outer, left: Labels, right: Labels, out: Labels, half: Number
) -> Value | None:
    if not x or not y:
        return Outer() if len(out) == 2 else Terms()
    shared = [label for label in left if label in right]
    if len(shared) == 2:
        aligned = y if left == right else y.transposed
        if out:
            return _order(hadamard(x, aligned), left, out)
        return Terms.single(TRIVIAL, x.frobenius(aligned, half))
    (label,) = shared
    if label in out:
        return None
    first = x if left[1] == label else x.transposed
    second = y if right[0] == label else y.transposed
    ends = tuple(other for other in (*left, *right) if other != label)
    return _order(first.compose(second, half), ends, out)
