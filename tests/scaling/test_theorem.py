"""The calculus against the theorem for perceptrons, on random parametrizations."""

from collections import Counter
from fractions import Fraction
from random import Random

import perceptrons
import pytest

from tpc.scaling import Kind, Status, classify, region

HALF = Fraction(1, 2)


def check(count: int, seed: int, activation: str) -> Counter[Kind]:
    random, seen = Random(seed), Counter[Kind]()
    for number in range(count):
        depth = 1 + number % 4
        rows = perceptrons.draw(depth, random)
        kind, r = perceptrons.theorem(rows)
        found = classify(perceptrons.module(depth, activation=activation), perceptrons.point(rows))
        assert (found.kind, found.r) == (kind, r), rows
        seen[kind] += 1
    return seen


def test_a_sample() -> None:
    seen = check(1000, seed=1, activation="tanh")
    assert min(seen[kind] for kind in Kind) >= 40, seen


@pytest.mark.slow
def test_ten_thousand() -> None:
    seen = check(10_000, seed=2, activation="relu")
    assert min(seen[kind] for kind in Kind) >= 400, seen


def test_the_region_says_the_same() -> None:
    """The symbolic walk agrees with the theorem wherever the latter says stable."""
    random = Random(3)
    regions = {depth: region(perceptrons.module(depth)) for depth in (1, 2)}
    seen: Counter[str] = Counter()
    for number in range(1500):
        depth = 1 + number % 2
        rows = perceptrons.draw(depth, random)
        kind, r = perceptrons.theorem(rows)
        point = perceptrons.point(rows)
        stable = kind in (Kind.TRIVIAL, Kind.KERNEL, Kind.FEATURE)
        found = regions[depth]
        assert found.contains(point) == stable, rows
        seen[kind] += 1
        if stable:
            assert found.kind(point) is kind
            assert {face.kind for face in found.faces if face.contains(point)} == {kind}
            (cell,) = found.cells
            assert cell.r.evaluate(point) == r
    assert min(seen[kind] for kind in Kind) >= 40, seen


NAMED = {
    "standard, c = 0": ([(0, 0, 0), (0, HALF, 0), (0, HALF, 0)], Kind.UNSTABLE, None),
    "standard, c = 1": ([(0, 0, 1), (0, HALF, 1), (0, HALF, 1)], Kind.KERNEL, HALF),
    "ntk": ([(0, 0, 0), (HALF, 0, 0), (HALF, 0, 0)], Kind.KERNEL, HALF),
    "mup": ([(-HALF, HALF, 0), (0, HALF, 0), (HALF, HALF, 0)], Kind.FEATURE, 0),
    "mean field, L = 1": ([(0, 0, -1), (1, 0, -1)], Kind.FEATURE, 0),
    "standard, L = 1, c = 0": ([(0, 0, 0), (0, HALF, 0)], Kind.UNSTABLE, None),
    "standard, L = 1, c = 1": ([(0, 0, 1), (0, HALF, 1)], Kind.KERNEL, 3 * HALF),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_parametrizations(name: str) -> None:
    rows, kind, r = NAMED[name]
    found = classify(perceptrons.module(len(rows) - 1), perceptrons.point(rows))
    assert (found.kind, found.r) == (kind, r)


def test_which_weights_train_in_the_standard_parametrization() -> None:
    """At c = 1 the input layer's term is missing from the kernel (theory, section 5)."""
    rows, _, _ = NAMED["standard, c = 1"]
    weights = classify(perceptrons.module(2), perceptrons.point(rows)).weights
    assert [weight.output for weight in weights.values()] == [1, 0, 0]
    rows, _, _ = NAMED["standard, L = 1, c = 1"]
    weights = classify(perceptrons.module(1), perceptrons.point(rows)).weights
    assert [weight.output for weight in weights.values()] == [1, 0]


def test_every_weight_is_maximal_in_mup() -> None:
    rows, _, _ = NAMED["mup"]
    found = classify(perceptrons.module(2), perceptrons.point(rows))
    assert {weight.status for weight in found.weights.values()} == {Status.MAXIMAL}
    assert found.output.init == HALF
    assert found.output.change == 0


def adam_like(rows: list[perceptrons.Triple]) -> tuple[bool, Fraction, Fraction]:
    """Return stability, the change of the last features and of f under sign updates (TP4b)."""
    *hidden, (a, b, c) = rows
    moves = [al + cl - (0 if l == 0 else 1) for l, (al, _, cl) in enumerate(hidden)]
    own, r = a + c - 1, min(moves)
    # the last features change by r; so does f through the readout, at initialisation or moved
    readout = min(a + b, a + c)
    output = min(own, readout + r - 1)
    return r >= 0 and own >= 0 and output >= 0 and a + b >= HALF, r, output


def gradient_like(rows: list[perceptrons.Triple]) -> tuple[bool, Fraction, Fraction]:
    """Return the same as :func:`adam_like` under SGD with one rate a weight (theory, section 6)."""
    *hidden, (a, b, c) = rows
    backward = min(a + b, 2 * a + c)
    moves = [backward + 2 * al + cl - (0 if l == 0 else 1) for l, (al, _, cl) in enumerate(hidden)]
    own, r = 2 * a + c - 1, min(moves)
    output = min(own, a + b + r - 1)
    return r >= 0 and own >= 0 and output >= 0 and a + b >= HALF, r, output


def check_rates(count: int, seed: int, optimizer: str, scale_free: bool) -> Counter[Kind]:
    random, seen = Random(seed), Counter[Kind]()
    for number in range(count):
        depth = 1 + number % 3
        rows = perceptrons.random_rows(depth, random)
        if not scale_free:  # the same rates in the gauge of gradient descent: 2a + c
            rows = [(a, b, c - a - (0 if l == depth else HALF)) for l, (a, b, c) in enumerate(rows)]
        stable, r, output = (adam_like if scale_free else gradient_like)(rows)
        found = classify(
            perceptrons.module(depth, common=False, optimizer=optimizer),
            perceptrons.point(rows, common=False),
        )
        assert (found.kind is not Kind.UNSTABLE) == stable, rows
        if stable:
            assert (found.r, found.output.change) == (r, output), rows
            expected = Kind.TRIVIAL if output else Kind.KERNEL if r else Kind.FEATURE
            assert found.kind is expected, rows
        assert found.dynamics == ("operator" if scale_free else "gradient")
        seen[found.kind] += 1
    assert len(seen) == 4, seen
    return seen


@pytest.mark.parametrize("optimizer", ["adam", "sign", "lion", "adagrad", "rmsprop"])
def test_scale_free_optimizers(optimizer: str) -> None:
    check_rates(200, 4, optimizer, scale_free=True)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_a_rate_for_each_weight(optimizer: str) -> None:
    check_rates(200, 5, optimizer, scale_free=False)


@pytest.mark.slow
def test_ten_thousand_scale_free() -> None:
    seen = check_rates(10_000, 6, "adam", scale_free=True)
    assert min(seen.values()) >= 400, seen


@pytest.mark.slow
def test_ten_thousand_rates() -> None:
    seen = check_rates(10_000, 7, "sgd", scale_free=False)
    assert min(seen.values()) >= 400, seen
