"""Nonlinearities of what vanishes with the width: only the sign of it is left, where they jump."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.exact import Constant
from tpc.limit.expectation import Expectation, Recorder, expectation
from tpc.limit.expressions import number
from tpc.limit.integrate import Rule, integrate
from tpc.limit.interpret import interpret
from tpc.limit.kernels import derive
from tpc.limit.moment import LimitRefusal

HEAD = """
width n
size d = 3, T = 9
parametrization mean_field
input x : {x}
param U : [n, d]
param W : [n, n]
"""
READ = "param V : [1, n] abc(1/2, 0, 0)\n"
X = np.random.default_rng(2).standard_normal((2, 3))


def kernel(body: str, kind: str) -> np.ndarray:
    """Evaluate the kernel of a program of one vector at two samples, without compiling it."""
    module = tpc.compile(text=HEAD.format(x="[d]") + body).module
    rows, columns = np.divmod(np.arange(4), 2)
    entries = derive(module, kind).entries
    return interpret(entries, {"x": X[rows]}, {"x": X[columns]}, 1e-6)[0].reshape(2, 2)


def hidden() -> tuple[np.ndarray, np.ndarray]:
    """Return ``E[relu relu']`` of the first layer, and the angles between its values."""
    size = np.linalg.norm(X, axis=1)
    angle = np.arccos(np.clip(X @ X.T / np.outer(size, size), -1, 1))
    found = np.outer(size, size) * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    own = np.sqrt(np.diag(found))
    return found, np.arccos(np.clip(found / np.outer(own, own), -1, 1))


def test_slopes_of_rectifiers_hang_on_signs() -> None:
    """``W relu(U x)`` is of order n^(-1/2): relu' of it is 0 or 1 all the same, as at any size."""
    below, angle = hidden()
    body = "param V : [1, n]\ndef f(x) = V @ (relu(W @ relu(U @ x)) + U @ x)\n"
    expected = 2 * X @ X.T + below * (np.pi - angle) / (2 * np.pi)
    np.testing.assert_allclose(kernel(body, "ntk"), expected, rtol=1e-7)


def test_signs_of_small_values() -> None:
    body = READ + "def f(x) = V @ (sign(W @ relu(U @ x)) + relu(U @ x))\n"
    below, angle = hidden()
    expected = below + 1 - 2 * angle / np.pi
    np.testing.assert_allclose(kernel(body, "nngp"), expected, rtol=1e-7)


def test_signs_among_several_gaussians() -> None:
    """A sign beside factors of other Gaussians: the general expectation scales it likewise."""
    found = kernel(READ + "def f(x) = V @ (sign(W @ relu(U @ x)) * (U @ x)^2)\n", "nngp")
    gram = X @ X.T
    own = np.diag(gram)
    fourth = np.outer(own, own) + 2 * gram**2
    expected = fourth * (1 - 2 * hidden()[1] / np.pi)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_arrays_of_positions_leave_signs_to_expressions() -> None:
    text = HEAD.format(x="[T, d]") + READ
    text += 'def f(x) = V @ sign(W @ relu(einsum("n d, t d -> t n", U, x)))[1]\n'
    found = tpc.compile(text=text).limit("nngp").kernels
    assert found.entries  # arrays would count what vanishes as zero, without a sign


def test_constants_are_what_is_left_of_expectations() -> None:
    """Where all Gaussians vanish an expectation is a number, for no sample and for many."""
    recorder = Recorder()
    last = recorder.product(recorder.step("scalar", 0), recorder.number(Constant.of(3)))
    found = expectation(recorder.tape(last), (number(1),), (), ())
    assert isinstance(found, Expectation)
    for values in (np.empty(0), np.array([1.0, 2.0]), np.ones((8, 2))):
        np.testing.assert_array_equal(integrate(found, [values], [], Rule(1e-6, 61)), 3 * values)


def test_sums_that_outgrow_what_vanishes_are_refused() -> None:
    """n terms tanh(W z) of order n^(-1/2) have a sum of order one, which is not zero."""
    body = "param V : [1, n] abc(0, 0, 0)\ndef f(x) = V @ tanh(W @ tanh(U @ x))\n"
    with pytest.raises(LimitRefusal, match="takes part in a product or a nonlinearity"):
        kernel(body, "nngp")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("param V : [1, n]\ndef f(x) = V @ (elu(2)(W @ relu(U @ x)) + U @ x)\n", "ntk"),
        (READ + "def f(x) = V @ (sign(mean(U @ x)) * relu(U @ x))\n", "nngp"),
    ],
)
def test_other_jumps_at_zero_are_refused(body: str, kind: str) -> None:
    with pytest.raises(LimitRefusal, match="jumps at zero, and what it is applied to vanishes"):
        kernel(body, kind)
