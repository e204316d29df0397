import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.exact import Constant

sqrt, exp, log, pi = Constant.sqrt, Constant.exp, Constant.log, Constant.pi()

positive = st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50)
exponents = st.fractions(min_value=-2, max_value=2, max_denominator=3)
roots = st.builds(lambda q, e: Constant(q) ** e, positive, exponents)
products = st.builds(lambda x, y, e: x * y * pi**e, roots, roots, exponents)
numbers = st.one_of(products, st.builds(lambda x, y: x + y, products, products))


@given(numbers, numbers, numbers)
def test_field_laws(x: Constant, y: Constant, z: Constant) -> None:
    assert x + y == y + x
    assert (x + y) + z == x + (y + z)
    assert x * y == y * x
    assert x - x == 0
    assert x / x == 1
    assert hash(x * y) == hash(y * x)


@given(products, products, exponents, exponents)
def test_power_laws(x: Constant, y: Constant, p: Fraction, q: Fraction) -> None:
    assert x**p * x**q == x ** (p + q)
    assert (x * y) ** p == x**p * y**p
    assert (x**p) ** q == x ** (p * q)


@given(numbers, numbers, exponents)
def test_values(x: Constant, y: Constant, p: Fraction) -> None:
    assert (x * y).value == pytest.approx(x.value * y.value, rel=1e-12)
    assert (x + y).value == pytest.approx(x.value + y.value, rel=1e-12)
    assert (x**p).value == pytest.approx(x.value ** float(p), rel=1e-12)
    assert log(x).value == pytest.approx(math.log(x.value), rel=1e-9, abs=1e-12)


@given(numbers)
def test_text_means_the_number(x: Constant) -> None:
    names = {"sqrt": sqrt, "pi": pi, "N": Constant, "F": Fraction}
    text = re.sub(r"\^(?:\((.*?)\)|(\d+))", lambda m: f"**F('{m[1] or m[2]}')", str(x))
    text = re.sub(r"(?<!['/\d])(\d+)(?![\d/]*')", r"N(\1)", text)
    assert eval(text, names) == x


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (sqrt(2), "sqrt(2)"),
        (sqrt(Fraction(2, 784)), "sqrt(2)/28"),
        (sqrt(2) * sqrt(3), "sqrt(6)"),
        (Constant(4) ** Fraction(1, 3), "2^(2/3)"),
        (1 / sqrt(2 * pi), "sqrt(2)/(2*sqrt(pi))"),
        (1 + sqrt(2), "1 + sqrt(2)"),
        (sqrt(1 + sqrt(2)), "sqrt(1 + sqrt(2))"),
        (-(1 + sqrt(2)) * pi, "-pi*sqrt(2) - pi"),
        (log(8), "3*log(2)"),
        (log(Fraction(1, 2)), "-log(2)"),
        (exp(Fraction(1, 2)) * exp(Fraction(1, 2)), "exp(1)"),
        (Constant(0), "0"),
    ],
)
def test_printing(number: Constant, text: str) -> None:
    assert str(number) == text


def test_identities() -> None:
    assert sqrt(2) ** 2 == 2
    assert (1 + sqrt(2)) * (sqrt(2) - 1) == 1
    assert exp(log(5)) == 5
    assert log(exp(sqrt(3))) == sqrt(3)
    assert exp(1 + pi) == exp(1) * exp(pi)
    assert sqrt(2).as_fraction() is None
    assert (sqrt(2) * sqrt(8)).as_fraction() == 4


def test_latex() -> None:
    assert (1 / sqrt(2 * pi)).latex() == r"\frac{\sqrt{2}}{2 \, \sqrt{\pi}}"
    assert (1 + sqrt(2)).latex(as_factor=True) == r"\left(1 + \sqrt{2}\right)"


def test_huge_numbers_are_refused_at_once() -> None:
    for absurd in (lambda: Constant(10) ** (10**9), lambda: sqrt(2) ** (10**9)):
        with pytest.raises(OverflowError, match="bits"):
            absurd()
    tower = Constant(2)
    with pytest.raises(OverflowError, match="nested"):
        [tower := exp(tower) for _ in range(100)]


def test_huge_integers_are_not_factored() -> None:
    product = (2**521 - 1) * (2**607 - 1)
    assert sqrt(product) ** 2 == product
    assert sqrt(product**2) == product
    assert (pi ** (10**9)).value == math.inf
    assert (Constant(1) ** (10**12)) == 1


def test_what_is_not_real() -> None:
    with pytest.raises(ValueError, match="not real"):
        sqrt(-1)
    with pytest.raises(ValueError, match="not real"):
        log(1 - sqrt(2))
    with pytest.raises(ZeroDivisionError):
        Constant(1) / 0
    assert (-2 * pi) ** 2 == 4 * pi**2
