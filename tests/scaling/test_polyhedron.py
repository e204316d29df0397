from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tpc.exact import Affine
from tpc.scaling.polyhedron import Polyhedron

NAMES = ("x", "y", "z")
x, y, z = map(Affine.symbol, NAMES)

whole = st.integers(-3, 3)
forms = st.builds(
    lambda c, q: Affine(c, dict(zip(NAMES, q, strict=True))), whole, st.tuples(*[whole] * 3)
)
polyhedra = st.builds(
    lambda lower, equal: Polyhedron(NAMES, lower, equal),
    st.lists(forms, max_size=9),
    st.lists(forms, max_size=1),
)


def _row(form: Affine) -> list[float]:
    return [float(form.coefficient(name)) for name in NAMES]


def _linprog(p: Polyhedron, objective: Affine):
    lower = [(_row(f), float(f.const)) for f in p.inequalities]
    equal = [(_row(f), float(f.const)) for f in p.equalities]
    return linprog(
        _row(objective),
        A_ub=-np.array([r for r, _ in lower]) if lower else None,
        b_ub=[c for _, c in lower] or None,
        A_eq=np.array([r for r, _ in equal]) if equal else None,
        b_eq=[-c for _, c in equal] or None,
        bounds=(None, None),
        method="highs",
    )


@settings(deadline=None)
@given(polyhedra, forms)
def test_minimum_agrees_with_scipy(p: Polyhedron, objective: Affine) -> None:
    feasible = _linprog(p, Affine(0)).status == 0
    assert p.is_empty == (not feasible)
    if not feasible:
        return
    found = _linprog(p, objective)
    least = p.minimum(objective)
    if found.status == 0:
        assert least is not None
        assert float(least) == pytest.approx(found.fun + float(objective.const), abs=1e-7)
    else:
        assert least is None


@settings(deadline=None)
@given(polyhedra)
def test_points_and_generators_lie_inside(p: Polyhedron) -> None:
    point = p.point()
    assert (point is None) == p.is_empty
    if point is None:
        assert not p.vertices()
        return
    assert p.contains(point)
    assert p.vertices()
    for vertex in p.vertices():
        assert p.contains(vertex)
        for ray in p.generators.rays:
            assert p.contains({s: vertex[s] + 5 * ray[s] for s in NAMES})
        for line in p.generators.lines:
            assert p.contains({s: vertex[s] - 5 * line[s] for s in NAMES})


@settings(deadline=None)
@given(polyhedra, forms)
def test_generators_give_the_minimum(p: Polyhedron, objective: Affine) -> None:
    if p.is_empty:
        return
    made = p.generators
    homogeneous = objective - objective.const
    falls = any(homogeneous.evaluate(ray) < 0 for ray in made.rays)
    falls = falls or any(homogeneous.evaluate(line) != 0 for line in made.lines)
    expected = None if falls else min(objective.evaluate(v) for v in made.vertices)
    assert p.minimum(objective) == expected


@settings(deadline=None, max_examples=50)
@given(polyhedra)
def test_normal_form_is_the_same_set_and_irredundant(p: Polyhedron) -> None:
    form = p.canonical
    assert form == p
    if p.is_empty:
        return
    assert p.dimension == 3 - len(p.affine_hull())
    for left_out in form.inequalities:
        rest = [f for f in form.inequalities if f is not left_out]
        assert not Polyhedron(NAMES, rest, form.equalities).implies(left_out)


def test_the_square() -> None:
    square = Polyhedron("xy", [x, 1 - x, y, 1 - y, 2 - x - y])
    assert len(square.irredundant()) == 4
    assert {(v["x"], v["y"]) for v in square.vertices()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert square.maximum(x + 2 * y) == 3
    assert square.intersect(Polyhedron("xy", (), [x - y])).dimension == 1
    assert str(square).splitlines() == ["x >= 0", "x <= 1", "y >= 0", "y <= 1"]


def test_implicit_equalities() -> None:
    line = Polyhedron("xyz", [x + y - 1, 1 - x - y, z])
    assert [str(f) for f in line.affine_hull()] == ["x + y - 1"]
    assert line.dimension == 2
    assert len(line.generators.lines) == 1


def test_a_slice() -> None:
    cone = Polyhedron("xyz", [x - y, x + y, z - x])
    box = ((Fraction(-2), Fraction(2)), (Fraction(-2), Fraction(2)))
    assert cone.polygon("x", "y", {"z": 1}, box) == ((0, 0), (1, -1), (1, 1))
    with pytest.raises(KeyError, match="z"):
        cone.polygon("x", "y", {}, box)


def test_ten_variables_and_sixty_constraints() -> None:
    names = [f"v{i}" for i in range(10)]
    rng = np.random.default_rng(0)
    lower = [
        Affine(int(rng.integers(1, 9)), {n: int(k) for n, k in zip(names, row, strict=True)})
        for row in rng.integers(-5, 6, (60, 10))
    ]
    p = Polyhedron(names, lower)
    objective = sum((Affine.symbol(n) for n in names), Affine())
    least = p.minimum(objective)
    found = linprog(
        np.ones(10),
        A_ub=-np.array([[float(f.coefficient(n)) for n in names] for f in p.inequalities]),
        b_ub=[float(f.const) for f in p.inequalities],
        bounds=(None, None),
    )
    assert (least is None) == (found.status == 3)
    assert least is None or float(least) == pytest.approx(found.fun)
