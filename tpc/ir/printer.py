"""The text form of a graph: one line a node, numbered in topological order."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.ir.module import Module
from tpc.ir.node import Node, walk


def print_graph(roots: Mapping[str, Node]) -> str:
    """Return the text of the graph below ``roots``: deterministic, one line a node."""
    numbers: dict[Node, int] = {}
    lines = []
    for node in walk(roots.values()):
        numbers[node] = len(numbers) + 1
        lines.append(_line(node, numbers))
    lines += [f"{name} = %{numbers[node]}" for name, node in roots.items()]
    return "\n".join(lines) + "\n"


def print_module(module: Module) -> str:
    """Return the text of a module: its tables, then its graph."""
    head = [f"width {module.width}"]
    head += [f"size {name} = {value}" for name, value in module.sizes.items()]
    head += [f"{spec.role} {name} : {spec.type}" for name, spec in module.inputs.items()]
    for name, spec in module.params.items():
        abc = ", ".join("?" if x is None else str(x) for x in (spec.a, spec.b, spec.c))
        extra = "" if spec.init == "normal" else f" init {spec.init}"
        extra += " frozen" if spec.frozen else ""
        head.append(
            f"param {name} : {spec.type} abc({abc}) sigma {spec.sigma} mult {spec.mult}{extra}"
        )
    for line in module.optimizers:
        options = ", ".join(f"{key} = {value}" for key, value in line.options.items())
        group = "" if line.params is None else " for " + ", ".join(line.params)
        head.append(f"optimizer {line.name}({options}){group}")
    roots = {value.name: value.node for value in module.values}
    roots |= {value.name: value.node for value in module.outputs}
    if module.loss is not None:
        roots["loss"] = module.loss
    return "\n".join(head) + "\n\n" + print_graph(roots)


def _line(node: Node, numbers: Mapping[Node, int]) -> str:
    operands = ", ".join(f"%{numbers[operand]}" for operand in node.operands)
    attrs = node.op.describe(node.attrs)
    body = f"{node.op.name}({operands})" if node.operands else node.op.name
    return f"%{numbers[node]} = {body}{' {' + attrs + '}' if attrs else ''} : {node.type}"
