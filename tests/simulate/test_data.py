"""Data, widths and requests that do not fit are refused with a clear message."""

from __future__ import annotations

import numpy as np
import pytest
from programs import dims, module, perceptron, spec

from tpc.diagnostics import TpcError
from tpc.ops.contract import matmul
from tpc.ops.gather import gather
from tpc.ops.input import input_
from tpc.ops.mean import average
from tpc.ops.param import param
from tpc.simulate import simulate
from tpc.simulate.run import ENTRIES_AT_ONCE

X, Y = np.ones((4, 3)), np.zeros((4, 2))
PROGRAM = perceptron()

BAD_DATA = {
    "missing": ({"y": Y}, "E0910", "no array for input `x`"),
    "missing target": ({"x": X}, "E0910", "no array for target `y`"),
    "wrong shape": ({"x": np.ones((4, 5)), "y": Y}, "E0922", r"expected \(N, 3\)"),
    "single sample": ({"x": np.ones(3), "y": Y}, "E0922", r"shape \(3,\), expected \(N, 3\)"),
    "too many axes": ({"x": X, "y": Y[:, :, None]}, "E0922", r"expected \(N, 2\)"),
    "scalar": ({"x": 1.0, "y": Y}, "E0922", r"shape \(\)"),
    "counts differ": ({"x": X, "y": Y[:3]}, "E0922", "`x` has 4, `y` has 3"),
    "no samples": ({"x": X[:0], "y": Y[:0]}, "E0922", "no samples"),
    "nan": ({"x": X * np.nan, "y": Y}, "E0924", "12 values that are not finite"),
    "infinite": ({"x": X / 0.0 if False else X * np.inf, "y": Y}, "E0924", r"first at \(0, 0\)"),
    "text": ({"x": np.full((4, 3), "a"), "y": Y}, "E0923", "real numbers"),
    "complex": ({"x": X * 1j, "y": Y}, "E0923", "complex128"),
    "objects": ({"x": np.full((4, 3), None), "y": Y}, "E0923", "object"),
    "ragged": ({"x": [[1, 2], [3]], "y": Y}, "E0923", "different lengths"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused(name: str) -> None:
    data, code, message = BAD_DATA[name]
    with pytest.raises(TpcError, match=message) as caught:
        simulate(PROGRAM, data, width=4, steps=1)
    assert {d.code for d in caught.value.diagnostics} == {code}


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(TpcError) as caught:
        simulate(PROGRAM, {"x": X * np.nan, "y": np.ones((4, 9))}, width=4, steps=1)
    assert [d.code for d in caught.value.diagnostics] == ["E0924", "E0922"]


def embedding():
    ids, U, V = input_("ids", dims(2), below=5), param("U", dims(5, "n")), param("V", dims(1, "n"))
    f = matmul(V, average(gather(U, ids), (0,)))
    return module({"f": f}, {"U": spec("U", U, (0, 0, 0)), "V": spec("V", V)})


BAD_IDS = {
    "from zero": ([[0, 4]], "E0924", "runs from 0 to 4, but its entries are 1..5"),
    "too large": ([[1, 6]], "E0924", "1..5"),
    "not whole": ([[1.5, 2]], "E0923", "not whole"),
    "booleans": (np.array([[True, True]]), "E0923", "bool"),
}


@pytest.mark.parametrize("name", BAD_IDS)
def test_integer_inputs_are_checked(name: str) -> None:
    ids, code, message = BAD_IDS[name]
    with pytest.raises(TpcError, match=message) as caught:
        simulate(embedding(), {"ids": ids}, width=4)
    assert caught.value.diagnostics[0].code == code


def test_integers_may_come_as_floats_and_reals_as_integers() -> None:
    one = simulate(embedding(), {"ids": [[1.0, 5.0]]}, width=4)
    two = simulate(embedding(), {"ids": [[1, 5]]}, width=4)
    np.testing.assert_array_equal(one.f, two.f)
    simulate(PROGRAM, {"x": np.ones((2, 3), dtype=np.int8)}, width=4)


@pytest.mark.parametrize("width", [0, -1, 2.5, True, "8"])
def test_widths_are_checked(width: object) -> None:
    with pytest.raises(TpcError, match="positive whole number"):
        simulate(PROGRAM, {"x": X}, width=width)  # type: ignore[arg-type]


def test_fractions_of_a_width_must_be_whole() -> None:
    x, U, V = input_("x", dims(3)), param("U", dims("1/2n", 3)), param("V", dims(1, "1/2n"))
    f = matmul(V, matmul(U, x))
    half = module({"f": f}, {"U": spec("U", U), "V": spec("V", V)})
    simulate(half, {"x": X}, width=6)
    with pytest.raises(TpcError, match="multiple of 2"):
        simulate(half, {"x": X}, width=7)


def test_a_run_that_cannot_fit_is_refused_before_it_starts() -> None:
    with pytest.raises(TpcError, match="GB") as caught:
        simulate(PROGRAM, {"x": X}, width=10**7)
    assert caught.value.diagnostics[0].code == "E0926"


def test_requests_are_checked() -> None:
    data = {"x": X, "y": Y}
    untrained = module({"f": PROGRAM.output.node}, dict(PROGRAM.params))
    with pytest.raises(TpcError, match="no train: block"):
        simulate(untrained, data, width=4, steps=1)
    with pytest.raises(TpcError, match="no value or weight `q`"):
        simulate(PROGRAM, data, width=4, record=("q",))
    with pytest.raises(TpcError, match="at least one seed"):
        simulate(PROGRAM, data, width=4, seeds=())
    for batches, message in (
        ([[0]], "2 steps need as many batches"),
        ([[0], [4]], "names sample 4"),
        ([[0], [-1]], "names sample -1"),
        ([[0], []], "no list of sample numbers"),
    ):
        with pytest.raises(TpcError, match=message):
            simulate(PROGRAM, data, width=4, steps=2, batches=batches)
    with pytest.raises(TpcError, match="values for the exponents: a"):
        simulate(perceptron(W=spec("W", param("W", dims("n", "n")), ("a", 0, 0))), data, width=4)


def test_a_symbolic_power_in_an_expression_needs_a_value() -> None:
    from tpc.exact import Affine
    from tpc.ops.scale import scale

    x, V = input_("x", dims(3)), param("V", dims(1, 3))
    f = scale(matmul(V, x), 1, Affine.symbol("q"))
    with pytest.raises(TpcError, match="values for the exponents: q"):
        simulate(module({"f": f}, {"V": spec("V", V)}), {"x": X}, width=2)


def test_exponents_that_nothing_filled_in() -> None:
    from dataclasses import replace

    W = replace(PROGRAM.params["W"], c=None)
    with pytest.raises(TpcError, match="`W` has no exponent c"):
        simulate(perceptron(W=W), {"x": X}, width=4)


def test_targets_are_not_needed_without_training() -> None:
    assert simulate(PROGRAM, {"x": X}, width=4).f.shape == (1, 1, 4, 2)


def test_test_points_are_evaluated_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(7, 3))
    whole = simulate(PROGRAM, {"x": points}, width=4)
    assert ENTRIES_AT_ONCE > 1
    monkeypatch.setattr("tpc.simulate.run.ENTRIES_AT_ONCE", 20)
    np.testing.assert_allclose(simulate(PROGRAM, {"x": points}, width=4).f, whole.f)


def test_progress_is_reported() -> None:
    seen: list[int] = []
    simulate(PROGRAM, {"x": X, "y": Y}, width=4, steps=2, seeds=range(2), progress=seen.append)
    assert seen == [1, 2, 3, 4]
