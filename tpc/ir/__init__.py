"""The intermediate representation: types, interned nodes, modules, printer, verifier."""

from tpc.ir.module import InputSpec, Module, NamedValue, OptimizerSpec, ParamSpec
from tpc.ir.node import Node, make, replace, walk
from tpc.ir.types import SCALAR, Dim, TensorType, finite, wide

__all__ = [
    "SCALAR",
    "Dim",
    "InputSpec",
    "Module",
    "NamedValue",
    "Node",
    "OptimizerSpec",
    "ParamSpec",
    "TensorType",
    "finite",
    "make",
    "replace",
    "walk",
    "wide",
]
