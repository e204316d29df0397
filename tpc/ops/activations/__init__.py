"""Nonlinearities, one file each; the catalogue is found by walking this package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import MappingProxyType

from tpc.exact import Constant
from tpc.ops.activations.base import Activation, ActivationError, DualForm, Growth

ConstantLike = Constant | int


@cache
def catalogue() -> Mapping[str, type[Activation]]:
    """Return the built-in activations by name, in alphabetical order."""
    found: dict[str, type[Activation]] = {}
    for entry in pkgutil.iter_modules(__path__, f"{__name__}."):
        module = importlib.import_module(entry.name)
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, Activation):
                named = isinstance(kind.name, str) and kind.name
                if named and kind.__module__ == entry.name:
                    found[kind.name] = kind
    return MappingProxyType(dict(sorted(found.items())))


def activation(name: str, *parameters: Constant | int) -> Activation:
    """Return a built-in activation with its parameters.

    Raises:
        ActivationError: no such activation, or parameters that it does not take.
    """
    kind = catalogue().get(name)
    if kind is None:
        raise ActivationError(f"there is no activation `{name}`")
    exact = tuple(Constant.of(parameter) for parameter in parameters)
    if kind.variadic and exact:
        return kind(exact)  # type: ignore[call-arg]
    most = len(fields(kind))
    if len(exact) > most:
        takes = f"{most} parameter{'s' if most > 1 else ''}" if most else "no parameters"
        raise ActivationError(f"`{kind.signature()}` takes {takes}, not {len(exact)}")
    return kind(*exact)


__all__ = ["Activation", "ActivationError", "DualForm", "Growth", "activation", "catalogue"]
