from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.exact import Affine, Coefficient, Constant

rationals = st.fractions(min_value=-4, max_value=4, max_denominator=6)
affines = st.builds(Affine, rationals, st.dictionaries(st.sampled_from("abcd"), rationals))


@given(affines, affines, affines, rationals)
def test_vector_space(x: Affine, y: Affine, z: Affine, q: Fraction) -> None:
    assert x + y == y + x
    assert (x + y) + z == x + (y + z)
    assert x - x == 0
    assert (x + y) * q == x * q + y * q
    assert hash(x + y - y) == hash(x)
    if q:
        assert (x / q) * q == x


@given(affines, affines, st.fixed_dictionaries(dict.fromkeys("abcd", rationals)))
def test_evaluation_is_linear_and_agrees_with_substitution(
    x: Affine, y: Affine, point: dict[str, Fraction]
) -> None:
    assert (x + y).evaluate(point) == x.evaluate(point) + y.evaluate(point)
    assert x.substitute(point).as_fraction() == x.evaluate(point)


@pytest.mark.parametrize(
    ("form", "text", "latex"),
    [
        (Affine(), "0", "0"),
        (Affine(0, {"a": -1}), "-a", "-a"),
        (Affine(Fraction(-1, 2), {"c": 1, "a1": 2}), "2*a1 + c - 1/2", None),
        (Affine(1, {"a": Fraction(3, 2)}), "3*a/2 + 1", r"\frac{3}{2} a + 1"),
        (Affine(0, {"lambda": 1, "a_in": -2}), "-2*a_in + lambda", r"-2 a_{in} + \lambda"),
    ],
)
def test_printing(form: Affine, text: str, latex: str | None) -> None:
    assert str(form) == text
    assert latex is None or form.latex() == latex


def test_substitution_is_simultaneous() -> None:
    a, b = Affine.symbol("a"), Affine.symbol("b")
    assert (a - b).substitute({"a": b, "b": a}) == b - a


def test_immutable_and_strict() -> None:
    with pytest.raises(AttributeError):
        Affine().const = Fraction(1)
    with pytest.raises(TypeError):
        Affine.of(0.5)  # type: ignore[arg-type]


def test_coefficients() -> None:
    half = Coefficient(Constant.sqrt(2), Affine(Fraction(-1, 2)))
    assert str(half) == "sqrt(2)*n^(-1/2)"
    assert half * half == Coefficient(Constant(2), Affine(-1))
    assert (half / half).is_one
    assert (half**4).value_at(10) == pytest.approx(0.04)
    assert Coefficient(Constant(0), Affine(3)) == Coefficient(Constant(0))
    assert str(Coefficient.width(Affine.symbol("a"))) == "n^a"
    assert Coefficient.width(10**6).value_at(10) == float("inf")
