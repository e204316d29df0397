"""Expectations without a closed form, for whole arrays: Hermite series, compiled once.

Coefficients belong to a sample and a position; a pair of positions costs one Horner polynomial.
Pairs for which the series is too slow (steep functions of nearly equal values) are integrated.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.codegen.load import load
from tpc.covariance.arrays import Array, Block, Shape, Step
from tpc.covariance.expectations import header
from tpc.covariance.steps import row_places, spread
from tpc.limit.dual import Dual
from tpc.runtime.duals import SNAP
from tpc.runtime.hermite import adaptive_series

if TYPE_CHECKING:
    from tpc.covariance.arrays import Numbers
    from tpc.ops.activations import Activation

    Table = tuple[Numbers, Numbers, Numbers]

MOST = 2**23
"""Numbers of a table of coefficients that is kept for all samples (64 MB)."""

_LOOP = """\
@njit(**OPTIONS)
def cosines(given, x, low, y, high, step, out):
    for m in range(out.size):
        c = given[m] * x[low + step * m] * y[high + m]
        if abs(c) > {snap!r}:
            c = math.copysign(1.0, c)
        out[m] = c


@njit(**OPTIONS)
def diagonal_row(a, b, low, high, tail1, tail2, rho, first, stride, tolerance, out):
    largest = 0.0
    for m in range(out.size):
        out[m] = 0.0
        largest = max(largest, abs(rho[m]))
    size = a.shape[0]
    needed = float(size)
    if largest < 0.99:
        needed = math.log(1e-3 * tolerance) / math.log(max(largest, 1e-300)) + 1.0
    k = min(size, max(int(needed), 1)) - 1
    k -= (k - first) % stride
    while k >= 0:
        u, v = a[k], b[k]
        for m in range(out.size):
            x = rho[m] if stride == 1 else rho[m] * rho[m]
            out[m] = out[m] * x + u[low + m] * v[high + m]
        k -= stride
    for m in range(out.size):
        if first == 1:
            out[m] *= rho[m]
        rest = tail1[low + m] * tail2[high + m]
        if rest > tolerance and rest * abs(rho[m]) ** size > tolerance:
            out[m] = np.nan


@njit(**OPTIONS)
def expectations(k, left, right, rows, columns, places, step, terms, tolerance, out):
    a, tail1, inverse1 = left
    b, tail2, inverse2 = right
    own, rho = np.empty(a.shape[1]), np.empty(k.shape[2])
    first, stride = terms
    for s in range(k.shape[0]):
        i, j = rows[s], columns[s]
        for r in range(k.shape[1]):
            p, q = places[r]
            cosines(k[s, r], inverse1[i], p, inverse2[j], q, step, rho)
            if step == 0:
                for t in range(own.size):
                    own[t] = a[i, t, p]
                series_row(
                    rho.size, own, b[j], q, tail1[i, p], tail2[j, q:],
                    rho, first, stride, tolerance, out[s, r],
                )
            else:
                diagonal_row(
                    a[i], b[j], p, q, tail1[i], tail2[j], rho, first, stride, tolerance, out[s, r]
                )"""


@cache
def _loop() -> Any:
    source = "\n\n\n".join([*header(["series_row"]), _LOOP.format(snap=SNAP)]) + "\n"
    return load(source).expectations


class SeriesForm(Step):
    """``E[phi(u) phi(v)]`` and, where a tangent is given, that times ``E[phi'(u) phi'(v)]``."""

    def __init__(
        self,
        k: tuple[Array, float],
        tangent: Array | None,
        sides: tuple[Array, Array],
        phi: Activation,
        shape: tuple[Shape, Shape, str],
    ) -> None:
        full, self.sizes, self.modes = shape
        inputs = [k[0]] if tangent is None else [k[0], tangent]
        super().__init__(inputs, sides, [full] * len(inputs), k[0].single)
        self.factor, self.phi = k[1], phi
        self.places, self.length, self.step = row_places(self.sizes, self.modes)

    def run(self, block: Block, inputs: list[Numbers], outs: list[Numbers]) -> None:
        count = block.rows.size
        k = self.factor * np.broadcast_to(inputs[0], (count, *self.outputs[0].shape))
        self._expect(self.phi, k, block, outs[0])
        if len(inputs) > 1:
            self._expect(self.phi.derivative(), k, block, outs[1])
            outs[1] *= inputs[1]

    def _expect(self, phi: Activation, k: Numbers, block: Block, out: Numbers) -> None:
        tables, rows, columns = _tables(phi, self.sides, block)
        flat = (block.rows.size, len(self.places), self.length)
        _loop()(
            k.reshape(flat),
            *tables,
            rows,
            columns,
            self.places,
            self.step,
            {"odd": (1, 2), "even": (0, 2)}.get(phi.parity, (0, 1)),
            block.tolerance,
            out.reshape(flat),
        )
        missed = np.isnan(out)
        if missed.any():
            self._integrate(phi, k, block, missed, out)

    def _integrate(
        self, phi: Activation, k: Numbers, block: Block, missed: Numbers, out: Numbers
    ) -> None:
        """Compute directly what the series leaves out."""
        q1, q2 = (
            spread(np.broadcast_to(a, (len(a), *self.sizes)), self.modes, side)
            for side, a in enumerate(
                (block.left[self.sides[0]][:, 0], block.right[self.sides[1]][:, 0])
            )
        )
        wide = (np.broadcast_to(q, (len(q), *k.shape[1:])) for q in (q1, q2))
        one, two = (q[at][missed] for q, at in zip(wide, (block.rows, block.columns), strict=True))
        bound = np.sqrt(one) * np.sqrt(two)
        inside = np.clip(k[missed], -bound, bound)
        out[missed] = Dual(phi).expectation(one, inside, two, block.tolerance)


def _tables(
    phi: Activation, sides: tuple[Array, ...], block: Block
) -> tuple[tuple[Table, Table], Any, Any]:
    """Return coefficients, tails and inverse deviations of either side, and its rows in them.

    Those of all samples are kept as long as there is room; then every block makes its own.
    """
    left, right = (
        table[side][:, 0].reshape(len(table[side]), -1)
        for table, side in zip((block.left, block.right), sides, strict=True)
    )
    same = block.left is block.right and sides[0] is sides[1]
    if 64 * max(left.size, right.size) <= MOST:
        with block.lock:
            key = (phi, *sides)
            if key not in block.kept:
                block.kept[key] = _both(phi, left, None if same else right, block)
        return block.kept[key], block.rows, block.columns
    one, rows = np.unique(block.rows, return_inverse=True)
    two, columns = np.unique(block.columns, return_inverse=True)
    return _both(phi, left[one], right[two], block), rows, columns


def _both(
    phi: Activation, left: Numbers, right: Numbers | None, block: Block
) -> tuple[Table, Table]:
    """Return the tables of variances of either side (None: the same), with one length of series."""
    wide = phi.growth.kind != "polynomial"
    q = left.ravel() if right is None else np.concatenate([left.ravel(), right.ravel()])
    terms, _, tails = adaptive_series(phi.numpy, q, phi.kinks(), wide, block.tolerance)
    inverse = np.divide(1.0, np.sqrt(q), out=np.zeros_like(q), where=q > 0.0)

    def table(shape: tuple[int, ...], part: slice) -> Table:
        wide = terms[part].reshape(*shape, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(wide), tails[part].reshape(shape), inverse[part].reshape(shape)

    first = table(left.shape, slice(left.size))
    return first, first if right is None else table(right.shape, slice(left.size, None))
