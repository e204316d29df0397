from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.exact import Affine
from tpc.scaling.polyhedron import Polyhedron
from tpc.scaling.tropical import INFINITE, Tropical, minimum

NAMES = "abc"
small = st.fractions(min_value=-2, max_value=2, max_denominator=2)
forms = st.builds(Affine, small, st.dictionaries(st.sampled_from(NAMES), small))
exponents = st.builds(Tropical, st.lists(forms, max_size=4))
points = st.fixed_dictionaries(dict.fromkeys(NAMES, small))


@given(exponents, exponents, exponents)
def test_semiring(e: Tropical, f: Tropical, g: Tropical) -> None:
    assert e | f == f | e
    assert (e | f) | g == e | (f | g)
    assert e | e == e
    assert e | INFINITE == e
    assert e + f == f + e
    assert (e + f) + g == e + (f + g)
    assert (e | f) + g == (e + g) | (f + g)
    assert e + INFINITE == INFINITE
    assert (e + 0) == e
    assert hash(e | f) == hash(f | e)


@given(exponents, exponents, points, st.fractions(min_value=0, max_value=3))
def test_evaluation(e: Tropical, f: Tropical, point: dict[str, Fraction], q: Fraction) -> None:
    left, right = e.evaluate(point), f.evaluate(point)
    finite = [value for value in (left, right) if value is not None]
    assert (e | f).evaluate(point) == min(finite, default=None)
    assert (e + f).evaluate(point) == (sum(finite) if len(finite) == 2 else None)
    if left is not None:
        assert (e * q).evaluate(point) == left * q
        assert e.substitute(point).as_fraction() == left
    if e.at_least(f) and left is not None:
        assert right is not None
        assert left >= right


@settings(deadline=None)
@given(exponents, st.lists(forms, max_size=4), st.lists(points, min_size=5, max_size=5))
def test_pruning_keeps_the_minimum_on_the_region(
    e: Tropical, lower: list[Affine], tried: list[dict[str, Fraction]]
) -> None:
    region = Polyhedron(NAMES, lower)
    pruned = e.prune(region)
    assert set(pruned.forms) <= set(e.forms)
    inside = [p for p in tried if region.contains(p)] + list(region.vertices())
    for point in inside:
        assert pruned.evaluate(point) == e.evaluate(point)


def test_pruning_needs_combinations() -> None:
    a, b = Affine.symbol("a"), Affine.symbol("b")
    middle = (a + b) / 2
    assert Tropical([a, b, middle + 1]).prune(Polyhedron("ab")).forms == (a, b)
    assert len(Tropical([a, b, middle - 1]).prune(Polyhedron("ab")).forms) == 3


def test_numbers() -> None:
    half = Tropical.of(Fraction(1, 2))
    assert (half + half).as_fraction() == 1
    assert Tropical([1, 2, Fraction(1, 2)]) == half
    assert minimum([]) is INFINITE
    assert INFINITE.is_infinite
    assert str(INFINITE) == "inf"
    assert str(Tropical([Affine.symbol("a"), 1])) == "min(1, a)"
    assert Tropical([Affine.symbol("a"), 1]).latex() == r"\min\left(1, a\right)"
    assert half.at_least(Tropical.of(0))
    assert not half.at_least(Tropical.of(1))
