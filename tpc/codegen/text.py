"""Source text of runtime functions, for modules that stand alone."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from functools import cache
from types import ModuleType

from tpc.runtime import bent, duals, elementary, gram, hermite, rows, scalars

_IGNORED = ("Value", "Any", "Array", "Place")


@cache
def _definitions(module: ModuleType) -> dict[str, ast.stmt]:
    """Return a module's functions and constants by name, annotations removed."""
    found: dict[str, ast.stmt] = {}
    for statement in ast.parse(inspect.getsource(module)).body:
        if isinstance(statement, ast.FunctionDef):
            found[statement.name] = plain(statement)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = statement
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assert statement.value is not None
            found[statement.target.id] = ast.Assign(
                [statement.target], statement.value, lineno=statement.lineno
            )
    return {name: node for name, node in found.items() if name not in _IGNORED}


def plain(function: ast.stmt) -> ast.stmt:
    """Return a statement without annotations, if it is a function."""
    if not isinstance(function, ast.FunctionDef):
        return function
    for argument in (*function.args.args, *function.args.kwonlyargs):
        argument.annotation = None
    if function.args.vararg is not None:
        function.args.vararg.annotation = None
    function.returns = None
    return function


def closure(names: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Return (name, source, is it a function) of runtime definitions and of all they need."""
    table: dict[str, ast.stmt] = {}
    for module in (scalars, elementary, duals, bent, hermite, gram, rows):
        table |= _definitions(module)
    needed: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in needed or name not in table:
            continue
        needed.add(name)
        todo += [n.id for n in ast.walk(table[name]) if isinstance(n, ast.Name)]
    return [
        (name, ast.unparse(node), isinstance(node, ast.FunctionDef))
        for name, node in table.items()
        if name in needed
    ]
