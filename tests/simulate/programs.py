"""Programs built by hand, without the language."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from tpc.diagnostics import Source
from tpc.exact import Affine, Coefficient, Constant
from tpc.ir import (
    InputSpec,
    Module,
    NamedValue,
    Node,
    OptimizerSpec,
    ParamSpec,
    finite,
    walk,
    wide,
)
from tpc.ops import functions
from tpc.ops.activations import activation
from tpc.ops.apply import apply
from tpc.ops.batch import batch_mean
from tpc.ops.contract import matmul
from tpc.ops.input import INPUT, input_
from tpc.ops.param import PARAM, param

Exponent = Fraction | int | str
ABC = tuple[Exponent, Exponent, Exponent]
HALF = Fraction(1, 2)


def dims(*sizes: int | str):
    return tuple(
        finite(s) if isinstance(s, int) else wide(Fraction(s.removesuffix("n") or 1)) for s in sizes
    )


def affine(value: object) -> Affine:
    return Affine.symbol(value) if isinstance(value, str) else Affine.of(Fraction(value))  # type: ignore[arg-type]


def options(**given: object) -> Mapping[str, Coefficient | str]:
    """Options of an optimizer: floats as their exact decimals."""
    found: dict[str, Coefficient | str] = {}
    for name, value in given.items():
        if isinstance(value, Coefficient) or value == "faithful":
            found[name] = value  # type: ignore[assignment]
        else:
            found[name] = Coefficient(Constant.of(Fraction(str(value))))
    return MappingProxyType(found)


def spec(name: str, node: Node, abc: ABC = (0, HALF, 0), **more: object) -> ParamSpec:
    a, b, c = (affine(v) for v in abc)
    return ParamSpec(name, node.type, a, b, c, **more)  # type: ignore[arg-type]


def module(
    outputs: Mapping[str, Node],
    specs: Mapping[str, ABC | ParamSpec],
    *,
    loss: Node | None = None,
    optimizers: tuple[OptimizerSpec, ...] = (),
    values: Mapping[str, Node] | None = None,
    targets: tuple[str, ...] = ("y",),
    noise: tuple[str, ...] = (),
) -> Module:
    """A module: params and inputs are found in the graph."""
    roots = [*outputs.values(), *(values or {}).values(), *([] if loss is None else [loss])]
    nodes = list(walk(roots))
    leaves = {n.attrs["name"]: n for n in nodes if n.op is PARAM}
    inputs = {
        n.attrs["name"]: InputSpec(n.attrs["name"], n.type, _role(n.attrs["name"], targets, noise))
        for n in nodes
        if n.op is INPUT
    }
    params = {
        name: each if isinstance(each, ParamSpec) else spec(name, leaves[name], each)
        for name, each in specs.items()
    }
    loss = batch_mean(loss) if loss is not None else None
    return Module(
        source=Source("test.tp", ""),
        width="n",
        sizes=MappingProxyType({}),
        reals=MappingProxyType({}),
        exponents=(),
        inputs=MappingProxyType(inputs),
        params=MappingProxyType(params),
        values=tuple(NamedValue(k, v) for k, v in (values or {}).items()),
        outputs=tuple(NamedValue(k, v) for k, v in outputs.items()),
        loss=loss,
        optimizers=optimizers,
    )


def _role(name: str, targets: tuple[str, ...], noise: tuple[str, ...]) -> str:
    return "target" if name in targets else "noise" if name in noise else "input"


SCALINGS: dict[str, dict[str, ABC]] = {
    "standard": {"U": (0, 0, 0), "W": (0, HALF, 0), "V": (0, HALF, 0)},
    "ntk": {"U": (0, 0, 0), "W": (HALF, 0, 0), "V": (HALF, 0, 0)},
    "mup": {"U": (-HALF, HALF, 0), "W": (0, HALF, 0), "V": (HALF, HALF, 0)},
}


def perceptron(
    scaling: str = "mup",
    optimizer: OptimizerSpec | None = None,
    loss: str = "mse",
    phi: str = "tanh",
    **specs: ParamSpec,
) -> Module:
    """Two hidden layers, d = 3, k = 2."""
    x, y = input_("x", dims(3)), input_("y", dims(2))
    U, W, V = param("U", dims("n", 3)), param("W", dims("n", "n")), param("V", dims(2, "n"))
    act = activation(phi)
    h = matmul(W, apply(act, matmul(U, x)))
    z = apply(act, h)
    out = matmul(V, z)
    line = optimizer or OptimizerSpec("sgd", options(lr="0.1"))
    return module(
        {"f": out},
        {**SCALINGS[scaling], **specs},
        loss=functions()[loss].build(f=out, y=y),
        optimizers=(line,),
        values={"h": h, "z": z},
    )
