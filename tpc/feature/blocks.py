"""Gradients of a matrix under an optimizer that is linear in them, remembered for good."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.matrix import Outer
from tpc.feature.rows import Rows
from tpc.feature.value import Exponent, Value, largest
from tpc.scaling.characters import odd_span

if TYPE_CHECKING:
    from tpc.ops.base import Array


class Block:
    """Outer products of several steps that have the same powers of the width, as one."""

    def __init__(self, like: Outer) -> None:
        self._like = like
        self._left = Rows(like.left.array.shape[1])
        self._right = Rows(like.right.array.shape[1])
        self._factors, self._steps = np.empty(0), np.empty(0, dtype=int)

    def fits(self, term: Outer) -> bool:
        """Whether a term has the powers of this block."""
        return _powers(term) == _powers(self._like)

    def append(self, term: Outer, step: int) -> None:
        """Add what one step's gradient consists of."""
        like, count = self._like, len(term.left.array)
        self._left.append(term.left.array)
        self._right.append(term.right.array)
        self._factors = np.append(self._factors, np.broadcast_to(term.factor, count))
        self._steps = np.append(self._steps, np.full(count, step))
        self._like = replace(
            like, left=_common(like.left, term.left), right=_common(like.right, term.right)
        )

    def term(self, coefficients: Array) -> Outer:
        """Return the combination of the steps' gradients with these coefficients."""
        return replace(
            self._like,
            left=replace(self._like.left, array=self._left.array),
            right=replace(self._like.right, array=self._right.array),
            factor=self._factors * coefficients[self._steps],
        )


def _powers(term: Outer) -> tuple[Exponent, Exponent, Fraction]:
    return term.left.power, term.right.power, term.power


def _common(x: Value, y: Value) -> Value:
    """Return x with what holds of both."""
    return replace(x, rest=largest(x.rest, y.rest), signs=odd_span(x.signs, y.signs))
