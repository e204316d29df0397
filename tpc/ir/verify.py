"""The verifier: every node keeps its op's typing rule, every leaf is in the module's tables."""

from __future__ import annotations

from collections.abc import Iterable

from tpc.ir.module import Module
from tpc.ir.node import Node, walk


class VerifyError(Exception):
    """The compiler built a graph that breaks its own rules: a bug, never a user's mistake."""


def verify(roots: Iterable[Node]) -> None:
    """Check every node below ``roots`` against its op.

    Raises:
        VerifyError: a node's type is not what its op infers.
    """
    for node in walk(roots):
        inferred = node.op.infer(tuple(operand.type for operand in node.operands), node.attrs)
        if inferred != node.type:
            raise VerifyError(f"{node!r}: the op infers {inferred}")


def verify_module(module: Module) -> None:
    """Check a module's graph, its loss, and that its leaves are declared.

    Raises:
        VerifyError: the graph and the tables do not agree.
    """
    roots = [value.node for value in (*module.values, *module.outputs)]
    if module.loss is not None:
        roots.append(module.loss)
        if module.loss.type.rank or module.loss.type.batched:
            raise VerifyError(f"the loss has type {module.loss.type}, not a scalar")
    verify(roots)
    for node in walk(roots):
        table = {"param": module.params, "input": module.inputs}.get(node.op.name)
        if table is not None and node.attrs["name"] not in table:
            raise VerifyError(f"{node!r}: {node.attrs['name']} is not declared")
