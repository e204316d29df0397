"""Weights under adafactor, in the limit: steps relative to the weight, factored second moments.

A matrix's gradient is ``g = sum_r c_r u_r v_r^T``. The averages of g^2 over columns and rows are
vectors, ``sum_rs c_r c_s u_r u_s E[Z^{v_r} Z^{v_s}]`` and the like, and the direction
``g / sqrt(v)`` with ``v = r s^T / mean(r)`` is again a sum of R outer products, of ``u / sqrt(r)``
and ``v / sqrt(s)``. Its root mean square and that of the weight are moments. So nothing but vectors
and moments is needed, at any number of steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.feature.matrix import Matrix, Outer
from tpc.feature.rows import Rows
from tpc.feature.value import Exponent, Value, largest, plus, total
from tpc.feature.weights import UNCLIPPED, Clip, Operand, Weight, numbers, unsupported

if TYPE_CHECKING:
    from fractions import Fraction

    from tpc.feature.space import Space
    from tpc.ir.module import ParamSpec
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings


class FactoredMatrix(Weight):
    """A Gaussian matrix, and the outer products that steps have added."""

    def __init__(self, spec: ParamSpec, settings: Settings, start: Matrix, space: Space) -> None:
        super().__init__(spec, settings)
        if spec.init != "normal":
            raise unsupported(spec, "adafactor on a matrix that starts at zero")
        self._start, self._space, self._kept = start, space, 1.0
        self._left, self._right = Rows(start.shape[0]), Rows(start.shape[1])
        self._factors = np.empty(0)
        self._like: Outer | None = None
        self._sides: tuple[Array, Array] | None = None

    @property
    def value(self) -> Matrix:
        """The effective weight W now."""
        found, like = self._start.scaled(self._kept), self._like
        if like is None:
            return found
        left = replace(like.left, array=self._left.array)
        right = replace(like.right, array=self._right.array)
        update = Outer(left, right, self._factors, self._power())
        return Matrix(found.shape, (*found.terms, update))

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        settings = self.settings
        assert settings is not None
        assert isinstance(gradient, Matrix)
        self.steps += 1
        terms = gradient.outer_only
        if terms is None or len(terms) > 1 or (self._like is not None and not terms):
            raise unsupported(self.spec, "a gradient that is no single sum of outer products")
        size = self._kept * self.spec.entry_std.value
        shrinkage = self._shrinkage(self._decay())
        self._kept *= 1.0 - shrinkage
        self._factors = self._factors * (1.0 - shrinkage)
        for term in terms:
            left, right, factors = self._direction(term.factor * clip[0], term)
            self._left.append(left)
            self._right.append(right)
            rate = settings.rate.constant.value * size
            self._factors = np.append(self._factors, -rate * factors)
            self._like = Outer(_normalised(term.left), _normalised(term.right))

    def _power(self) -> Fraction:
        assert self.settings is not None
        return self.settings.rate.power.const - self.spec.entry_exponent.const

    def _direction(self, factor: Any, term: Outer) -> tuple[Array, Array, Array]:
        """Return the outer products of ``g / sqrt(v)``, bounded, and keep the averages."""
        assert self.settings is not None
        options = numbers(self.settings)
        left, right = term.left.array, term.right.array
        factors = np.broadcast_to(factor, len(left)).astype(float)
        beta = 1.0 - float(self.steps) ** -options["decay_rate"]
        scaled = factors[:, None] * left
        now = (_squares(scaled, right), _squares(right, scaled))
        before = self._sides or (np.zeros(left.shape[1]), np.zeros(right.shape[1]))
        r, s = (beta * old + (1.0 - beta) * new for old, new in zip(before, now, strict=True))
        self._sides = r, s
        left, right = left * _inverse_root(r), right * _inverse_root(s)
        factors = factors * r.mean() ** 0.5
        scaled = factors[:, None] * left
        root = float(_squares(scaled, right).mean()) ** 0.5
        return left, right, factors / max(1.0, root / options["threshold"])


class FactoredEntries(Weight):
    """A weight without or with one width axis: averages over a width are expectations."""

    def __init__(self, spec: ParamSpec, settings: Settings, start: Value) -> None:
        super().__init__(spec, settings)
        self._value = start
        self._state: dict[str, Array] | None = None
        self._at: Exponent = None

    @property
    def value(self) -> Value:
        """The effective weight W now."""
        return self._value

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        settings, now = self.settings, self._value
        assert settings is not None
        assert isinstance(gradient, Value)
        self.steps += 1
        gradient = gradient.scaled(*clip)
        at = largest(self._at, gradient.power)
        if self._state is None or at != self._at:
            self._state, self._at = settings.optimizer.start(gradient.array.shape), at
        same = gradient.power == at
        array = gradient.array if same else np.zeros(gradient.array.shape)
        weight = np.zeros(array.shape) if now.is_zero else now.array
        direction, self._state = settings.optimizer.direction(
            array, weight, self._state, self.steps, numbers(settings)
        )
        kept = now.scaled(1.0 - self._shrinkage(self._decay()))
        if gradient.is_zero or not same:
            self._value = kept
            return
        rate, power = settings.rate.constant.value, settings.rate.power.const
        if now.is_zero:  # the rule counts the weight as one
            size = plus(power, self.spec.multiplier.power.const)
            rate *= self.spec.mult.value
        else:
            size = plus(power, now.power)
        assert size is not None
        assert gradient.power is not None
        rest = plus(gradient.rest, size - gradient.power)
        self._value = total([kept, Value(-rate * direction, size, rest, gradient.signs)])


def _normalised(x: Value) -> Value:
    """Return vectors at the power zero; what they leave out keeps its relative size."""
    return x.scaled(1.0, -(x.power or 0))


def _squares(x: Array, y: Array) -> Array:
    """Return the averages of ``(sum_r x_r y_r^T)^2`` over the second axis."""
    gram = y @ y.T / y.shape[1]
    found: Array = ((gram @ x) * x).sum(axis=0)
    return np.maximum(found, 0.0)


def _inverse_root(x: Array) -> Array:
    return np.where(x > 0.0, 1.0 / np.sqrt(np.where(x > 0.0, x, 1.0)), 0.0)
