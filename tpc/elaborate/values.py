"""What a name or an expression can stand for while a program is elaborated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tpc.exact import Affine, Coefficient
from tpc.ir.node import Node
from tpc.ops.activations import Activation
from tpc.ops.base import Function

if TYPE_CHECKING:
    from tpc.diagnostics import Span
    from tpc.syntax import tree


@dataclass
class Family:
    """Members told apart by integer indices: ``param W[2..L]``, or ``s[t] = ...``."""

    name: str
    members: dict[tuple[int, ...], Value] = field(default_factory=dict)


@dataclass(frozen=True)
class UserFunction:
    """A ``def`` of the program."""

    declaration: tree.FunctionDeclaration

    @property
    def name(self) -> str:
        """The function's name."""
        return self.declaration.name.name


@dataclass(frozen=True)
class ActivationKind:
    """A built-in activation that has not been given its parameters: ``leaky_relu``."""

    name: str


@dataclass(frozen=True)
class Special:
    """A name whose call the elaborator itself understands: ``grad``, ``sqrt``, ``where``."""

    name: str


@dataclass(frozen=True)
class Pending:
    """What a declared name stands for before its declaration has been read."""


@dataclass(frozen=True)
class Poison:
    """What a definition with an error leaves behind: using it says nothing more."""


Value = (
    Node
    | Coefficient
    | Affine
    | Family
    | UserFunction
    | Activation
    | ActivationKind
    | Function
    | Special
    | Poison
    | Pending
)

POISON = Poison()
PENDING = Pending()


@dataclass
class Definition:
    """A name of the program: what it stands for, where, and whether anything used it."""

    name: str
    kind: str
    value: Value
    span: Span
    used: bool = False


def describe(value: Value) -> str:
    """A short noun phrase for messages."""
    match value:
        case Node():
            return f"a tensor of type {value.type}"
        case Coefficient():
            return f"the number {value}"
        case Affine():
            return f"the exponent {value}"
        case Family():
            return f"the family `{value.name}`"
        case UserFunction() | Function():
            return f"the function `{value.name}`"
        case Activation() | ActivationKind():
            return f"the activation `{value.name}`"
        case Special():
            return f"the function `{value.name}`"
    return "something with an error"
