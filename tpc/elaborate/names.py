"""Names that nothing defines, found in every function before anything is expanded.

So a program hears about all of its misspelt names at once, in functions that are never called too.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.elaborate.context import Context
from tpc.elaborate.lookup import assignments, builtins, unknown
from tpc.ops.base import Function
from tpc.syntax import tree
from tpc.syntax.tree import Node, Statement


def check(context: Context, program: tree.Program) -> None:
    """Report every undefined name in functions and in the training block."""
    for statement in program.body:
        match statement:
            case tree.FunctionDeclaration(arguments=arguments, body=body):
                local = {each.name for each in arguments} | {
                    each.name for each in assignments(body)
                }
                _check_block(context, body, local)
            case tree.TrainDeclaration(body=body):
                _check_block(context, body, {each.name for each in assignments(body)})


def _check_block(context: Context, body: Sequence[Statement], local: set[str]) -> None:
    for statement in body:
        if not isinstance(statement, tree.OptimizerDeclaration):
            _check_node(context, statement, frozenset(local))


def _check_node(context: Context, root: Node, local: frozenset[str]) -> None:
    """Walk down; comprehensions bring a name of their own, words of settings are no names."""
    pending: list[tuple[Node, frozenset[str]]] = [(root, local)]
    while pending:
        node, known = pending.pop()
        if isinstance(node, tree.Name):
            _check_name(context, node, known)
        elif isinstance(node, tree.Comprehension):
            pending.append((node.range, known))
            pending.append((node.body, known | {node.variable.name}))
        else:
            words = _words(node)
            below = [each for each in tree.children(node) if each not in words]
            pending.extend((each, known) for each in reversed(below))


def _words(node: Node) -> list[Node]:
    """Arguments of a call that are words, like ``padding = same``: these are no names."""
    if not isinstance(node, tree.Call) or not isinstance(node.function, tree.Name):
        return []
    function = builtins().get(node.function.name)
    if not isinstance(function, Function):
        return []
    kinds = {each.name: each for each in function.arguments}
    return [
        each
        for each in node.arguments
        if isinstance(each, tree.Argument)
        and each.name is not None
        and each.name.name in kinds
        and kinds[each.name.name].choices
    ]


def _check_name(context: Context, name: tree.Name, local: frozenset[str]) -> None:
    if name.name in local or name.name in context.globals or name.name in builtins():
        return
    known = [*local, *context.globals, *builtins()]
    context.reporter.report(
        "E0201", f"`{name.name}` is not defined", name.span, help=unknown(name.name, known)
    )
