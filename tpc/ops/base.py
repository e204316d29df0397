"""The contract of an op: everything the compiler knows about it, in one class in one file.

An op has a typing rule (``infer``), a vector-Jacobian product, a meaning at finite width
(``evaluate``), a rule for width exponents and sign characters (``exponents``), a rule for second
values in the limit (``limit``), one for Z where features learn (``feature``), with its equation
(``equation``), and a cost (``flops``). A rule that an op does not have is a
:class:`MissingRule`, which names op and stage: never a guess.

A surface function (``softmax(x, axis = 2)``) is a :class:`Function`: a signature, documentation,
and how it builds nodes. Simple ops have one of the same name beside them; composite functions
(``layer_norm``) have no op of their own and inherit every rule from what they are built of.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.exact import Coefficient
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.module import ParamSpec
    from tpc.ir.node import Node
    from tpc.ir.types import TensorType
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size

    Array = NDArray[np.float64]


class OpTypeError(Exception):
    """Operands that do not fit an op: what is wrong, which operand, and how to mend it.

    ``operand`` is the position of the operand at fault among the *nodes* given to the function, or
    None when it is the call as a whole.
    """

    def __init__(
        self, message: str, *, operand: int | None = None, help: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operand = operand
        self.help = help


class MissingRule(Exception):  # noqa: N818 - it is a fact about an op, reported as a diagnostic
    """An op has no rule for a stage. ``node`` is where it was met."""

    def __init__(self, node: Node, stage: str, detail: str = "") -> None:
        super().__init__(f"op {node.op.name} has no {stage} rule{': ' + detail if detail else ''}")
        self.node = node
        self.stage = stage
        self.detail = detail


@dataclass(frozen=True)
class EvalContext:
    """What finite-width execution knows besides the arrays.

    ``width`` is n, ``batch`` the number of samples, ``params`` the module's table of weights (whose
    numbers never stand in nodes), and ``seed`` and ``step`` select the random numbers of ops that
    draw some.
    """

    width: int
    batch: int | None = None
    params: Mapping[str, ParamSpec] = field(default_factory=dict)
    seed: int = 0
    step: int = 0

    def shape(self, type_: TensorType) -> tuple[int, ...]:
        """Return the array shape of a value of this type."""
        return type_.shape(self.width, self.batch)

    def generator(self, *stream: str | int) -> np.random.Generator:
        """Return the random generator of a stream: a function of the seed and the names alone."""
        import numpy as np

        return np.random.default_rng(np.random.SeedSequence([self.seed, *_words(stream)]))


def _words(stream: tuple[str | int, ...]) -> list[int]:
    digest = hashlib.sha256(repr(stream).encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


class Op(ABC):
    """One operation. Ops are stateless singletons; what varies stands in a node's attributes."""

    name: ClassVar[str]

    #: A linear map that leaves width axes alone (slices, stacks, scales): a weight seen through it
    #: is still that weight, so that ``U[ids]`` plays the role of U.
    transparent: ClassVar[bool] = False

    #: Whether :meth:`equation` knows what to do with operands of two width axes.
    takes_matrices: ClassVar[bool] = False

    #: Whether ``covariance`` takes modes that sum over positions (S and A).
    sums_positions: ClassVar[bool] = False

    @abstractmethod
    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        """Return the result's type.

        Raises:
            OpTypeError: the operands do not fit.
        """

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        """Return the cotangent of each operand (None: no derivative flows there).

        Cotangents are given in the operand's ``dims``; the batch axis is the caller's business:
        a rule neither sums over it nor adds it.
        """
        raise MissingRule(node, "derivative")

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        """Return the value at finite width. Batched operands have the batch axis in front."""
        raise MissingRule(node, "finite-width")

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        """Return the width exponents and sign characters of the result (tropical calculus)."""
        raise MissingRule(node, "scaling")

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        """Return what an entry is in the limit (:mod:`tpc.limit.forms`).

        ``index`` has a position for every axis; that of a width axis tells blocks apart. Moments
        of pairs of entries follow from the forms alone.
        """
        raise MissingRule(node, "limit")

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        """Return covariances and tangents over pairs of positions of two nodes of this op.

        ``modes`` says for every axis which pairs are wanted (:mod:`tpc.covariance.arrays`): D and F
        only, unless the op sums positions itself (``sums_positions``).
        """
        raise MissingRule(left, "limit")

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        """Return the Z of a node where features learn, from those of its operands.

        A :class:`tpc.feature.value.Value` (samples of Z, or coefficients, with a power of the
        width) or a :class:`tpc.feature.matrix.Matrix`.
        """
        raise MissingRule(node, "feature-learning limit")

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        """Return the Z of a node as an expression in those of its operands."""
        raise MissingRule(node, "feature-learning equation")

    def addends(self, node: Node) -> Sequence[tuple[Coefficient, Node]] | None:
        """Return the terms of a linear combination, which may lack axes in front, or None."""
        return None

    def independent(self, node: Node, axis: int) -> bool:
        """Whether entries at different positions of an axis are uncorrelated by construction."""
        return False

    def describe(self, attrs: Mapping[str, Any]) -> str:
        """Return the attributes as the printer shows them: those that are set, but not the axes."""
        shown = sorted((k, v) for k, v in attrs.items() if k not in ("dims", "shape"))
        return " ".join(f"{k}={_shown(v)}" for k, v in shown if v is not None and v is not False)

    def flops(self, node: Node, context: EvalContext) -> int:
        """Return the floating-point operations of one evaluation.

        By default one for each entry of the result.
        """
        count = 1
        for extent in context.shape(node.type):
            count *= extent
        return count


def _shown(attribute: object) -> str:
    if isinstance(attribute, tuple):
        return "(" + ", ".join(_shown(item) for item in attribute) + ")"
    return str(attribute)


@dataclass(frozen=True)
class Argument:
    """One argument of a surface function.

    ``kind`` says what the elaborator hands over:

    * ``value``: a Node; ``values``: the rest of the positional arguments, a tuple of Nodes;
    * ``axis``: one 0-based position, ``axes``: a tuple of them (the user writes ``axis = (1, 2)``,
      1-based, of the first value argument; ``axes`` also takes a single one);
    * ``integer``: an int; ``integers``: a tuple of ints (a single one is given as 1-tuple);
    * ``number``: an exact ``tpc.exact.Constant``;
    * ``word``: one of ``choices``, a str;
    * ``text``: the content of a quoted string, a str;
    * ``mask``: one of ``choices`` as a str, or a Node;
    * ``site``: an int that no other call in the program has. Users never write it: the elaborator
      supplies it, so that two calls that draw random numbers draw different ones.

    Arguments are listed in the order in which users write them; those of kind ``value``, ``values``
    and ``text`` are positional, the others keywords. ``default`` is used where ``required`` is
    false. An axis that is out of range is the builder's to refuse (it raises OpTypeError).
    """

    name: str
    kind: str
    required: bool = True
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """A function of the language: ``build`` gets the arguments by name and returns a node."""

    name: str
    arguments: tuple[Argument, ...]
    build: Callable[..., Node]
    summary: str
    details: str = ""

    @property
    def signature(self) -> str:
        """The signature as the language reference prints it."""
        parts = []
        for argument in self.arguments:
            if argument.kind == "site":
                continue
            if argument.kind == "values":
                parts.append("...")
            elif argument.required:
                parts.append(argument.name)
            else:
                default = "none" if argument.default is None else argument.default
                parts.append(f"{argument.name} = {default}")
        return f"{self.name}({', '.join(parts)})"


def value(name: str) -> Argument:
    """Return an argument that takes a tensor."""
    return Argument(name, "value")


def values(name: str) -> Argument:
    """Return an argument that takes the rest of the positional arguments, one or more tensors."""
    return Argument(name, "values")


def option(name: str, kind: str, default: Any = None, choices: tuple[str, ...] = ()) -> Argument:
    """Return an optional keyword argument."""
    return Argument(name, kind, required=False, default=default, choices=choices)


def keyword(name: str, kind: str, choices: tuple[str, ...] = ()) -> Argument:
    """Return a required argument that is not a tensor."""
    return Argument(name, kind, choices=choices)


def surface(
    *arguments: Argument, name: str | None = None
) -> Callable[[Callable[..., Node]], Function]:
    """Turn a builder into a :class:`Function`; its docstring is the documentation."""

    def wrap(build: Callable[..., Node]) -> Function:
        text = (build.__doc__ or "").strip()
        summary, _, details = text.partition("\n")
        return Function(name or build.__name__, arguments, build, summary.strip(), details.strip())

    return wrap


def same_batch(operands: Sequence[TensorType]) -> bool:
    """Return whether the result of an op on these operands is batched."""
    return any(operand.batched for operand in operands)


def require_real(operands: Sequence[TensorType], name: str) -> None:
    """Refuse integer tensors.

    Raises:
        OpTypeError: an operand has integer entries.
    """
    for position, operand in enumerate(operands):
        if operand.below is not None:
            raise OpTypeError(
                f"`{name}` works on real tensors, this is an integer input ({operand})",
                operand=position,
                help="look a weight's rows up with it: U[ids]",
            )
