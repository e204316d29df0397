"""Types, interned nodes, walks, the printer and the verifier."""

from __future__ import annotations

import gc
import time
from fractions import Fraction
from types import MappingProxyType

import pytest

import tpc
from tpc.diagnostics import Source
from tpc.exact import Affine
from tpc.ir import (
    SCALAR,
    Dim,
    InputSpec,
    Module,
    NamedValue,
    Node,
    OptimizerSpec,
    ParamSpec,
    TensorType,
    finite,
    make,
    replace,
    walk,
    wide,
)
from tpc.ir.printer import print_graph, print_module
from tpc.ir.verify import VerifyError, verify, verify_module
from tpc.ops.add import ADD, add
from tpc.ops.contract import matmul
from tpc.ops.input import input_
from tpc.ops.multiply import multiply
from tpc.ops.param import param

x = input_("x", (finite(3),))


def test_dims_print_as_they_are_written() -> None:
    type_ = TensorType((finite(3), wide(), wide(4), wide(Fraction(1, 2))), batched=True)
    assert str(type_) == "batch [3, n, 4*n, 1/2*n]"
    assert type_.shape(8, 2) == (2, 3, 8, 32, 4)
    assert (type_.sort, type_.width_axes, type_.finite_count) == (3, (1, 2, 3), 3)
    with pytest.raises(ValueError, match="number of samples"):
        type_.shape(8)


def test_equal_nodes_are_identical_and_names_tell_weights_apart() -> None:
    dims = (wide(), finite(3))
    assert matmul(param("U", dims), x) is matmul(param("U", dims), x)
    assert param("U", dims) is not param("V", dims)


def test_nodes_that_nothing_uses_are_forgotten() -> None:
    node = add(x, multiply(x, x))
    number = node.id
    del node
    gc.collect()
    assert add(x, multiply(x, x)).id != number


def test_walks_are_iterative_and_shared_graphs_are_cheap() -> None:
    node = x
    for _ in range(5000):
        node = add(node, node)
    started = time.perf_counter()
    assert sum(1 for _ in walk([node])) == 5001
    assert time.perf_counter() - started < 1


def test_operands_come_before_users() -> None:
    a = multiply(x, x)
    root = add(add(a, x), a)
    order = list(walk([root, a]))
    assert len(order) == len(set(order)) == 4
    for position, node in enumerate(order):
        assert all(operand in order[:position] for operand in node.operands)


def test_replace_rebuilds_only_what_changes() -> None:
    y = input_("y", (finite(3),))
    kept, moved = multiply(x, x), multiply(y, y)
    (root,) = replace([add(kept, moved)], {y: x})
    assert root is make(ADD, kept, kept)


def test_the_verifier_finds_a_broken_node() -> None:
    broken = Node(ADD, (x, x), {}, SCALAR)
    with pytest.raises(VerifyError, match="the op infers"):
        verify([broken])


def module(**changes: object) -> Module:
    U = param("U", (wide(), finite(3)))
    h = matmul(U, x)
    zero, half = Affine.of(0), Affine.of(Fraction(1, 2))
    fields: dict[str, object] = {
        "source": Source("t.tp", ""),
        "width": "n",
        "sizes": MappingProxyType({"d": 3}),
        "reals": MappingProxyType({}),
        "exponents": (),
        "inputs": MappingProxyType({"x": InputSpec("x", x.type)}),
        "params": MappingProxyType({"U": ParamSpec("U", U.type, zero, half, None)}),
        "values": (),
        "outputs": (NamedValue("h", h),),
        "optimizers": (OptimizerSpec("sgd", MappingProxyType({})),),
    }
    return Module(**(fields | changes))  # type: ignore[arg-type]


def test_the_printer_is_deterministic() -> None:
    assert print_module(module()) == (
        "width n\n"
        "size d = 3\n"
        "input x : batch [3]\n"
        "param U : [n, 3] abc(0, 1/2, ?) sigma 1 mult 1\n"
        "optimizer sgd()\n"
        "\n"
        "%1 = param {name=U} : [n, 3]\n"
        "%2 = input {name=x} : batch [3]\n"
        "%3 = contract(%1, %2) {ab,b->a} : batch [n]\n"
        "h = %3\n"
    )
    assert print_graph({"a": x, "b": x}).count("input") == 1


def test_modules_are_verified() -> None:
    verify_module(module())
    with pytest.raises(VerifyError, match="x is not declared"):
        verify_module(module(inputs=MappingProxyType({})))
    with pytest.raises(VerifyError, match="not a scalar"):
        verify_module(module(loss=x))


def test_tables_of_a_module() -> None:
    spec = module().params["U"]
    assert spec.entry_exponent == Fraction(1, 2)
    with pytest.raises(LookupError, match="U has no exponent c"):
        spec.exponent("c")
    assert module().trained == ()
    trained = module(loss=add(x, x))
    assert trained.trained == ("U",)
    assert trained.optimizer_of("U") is trained.optimizers[0]
    assert trained.output.name == "h"


def test_exponents_are_substituted_in_every_param() -> None:
    U = ParamSpec("U", TensorType((wide(),)), *(Affine.symbol("a") for _ in range(3)))
    family = module(params=MappingProxyType({"U": U}), exponents=("a", "q"))
    fixed = family.with_exponents({"a": Affine.of(1)})
    assert fixed.params["U"].entry_exponent == 2
    assert fixed.exponents == ("q",)


def test_exponents_are_substituted_in_expressions_and_options() -> None:
    text = (
        "width n\nsize d = 4\nexponent a, b\ninput x : [d]\ntarget y : [1]\n"
        "param U : [n, d] abc(0, 0, a) decay n^a\nparam V : [1, n] abc(1, 0, 0)\n"
        "def f(x):\n    h = tanh(n^-b * (U @ x))\n    return V @ h\n"
        "train:\n    loss = mse(f(x), y)\n    optimizer adam(lr = n^b, eps = n^-a)\n"
    )
    family = tpc.compile(text=text)
    values = {"a": Affine.of(1), "b": Affine.of(Fraction(1, 2))}
    fixed = family.module.with_exponents(values)
    numbers = text.replace("exponent a, b\n", "").replace("c(0, 0, a)", "c(0, 0, 1)")
    numbers = numbers.replace("n^a", "n^1").replace("n^-a", "n^-1").replace("n^b", "n^(1/2)")
    plain = tpc.compile(text=numbers.replace("n^-b", "n^(-1/2)")).module
    assert fixed.roots == plain.roots
    assert fixed.params["U"].decay == plain.params["U"].decay
    assert fixed.optimizers[0].options == plain.optimizers[0].options
    assert fixed.spans.keys() >= {fixed.loss}


def test_a_width_axis_has_a_position_at_least() -> None:
    assert Dim(Fraction(1, 2), True).concrete(1) == 1
