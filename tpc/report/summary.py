"""What a program declares, as ``tpc check`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tpc.exact import Affine

if TYPE_CHECKING:
    from tpc.ir import Module


def summary(module: Module, name: str) -> dict[str, Any]:
    """Return what ``tpc check --json`` prints."""
    return {
        "schema": 1,
        "file": name,
        "width": module.width,
        "sizes": dict(module.sizes),
        "reals": {name: str(value) for name, value in module.reals.items()},
        "exponents": list(module.exponents),
        "parametrization": module.parametrization,
        "inputs": {k: {"role": v.role, "type": str(v.type)} for k, v in module.inputs.items()},
        "params": {name: _param_summary(spec) for name, spec in module.params.items()},
        "outputs": {value.name: str(value.node.type) for value in module.outputs},
        "trained": list(module.trained),
        "optimizers": [line.name for line in module.optimizers],
    }


def summary_text(module: Module, name: str) -> str:
    """Return what ``tpc check`` prints."""
    filled = module.parametrization or ""
    rows = [(key, str(spec.type), _abc(spec, filled)) for key, spec in module.params.items()]
    left = max((len(row[0]) for row in rows), default=0)
    middle = max((len(row[1]) for row in rows), default=0)
    lines = [f"{name}: ok"]
    lines += [f"  {a:{left}}  {b:{middle}}  {c}" for a, b, c in rows]
    lines += [f"  {value.name} : {value.node.type}" for value in module.outputs]
    return "\n".join(lines)


def _abc(spec: Any, parametrization: str) -> str:
    stated = {"a": spec.a, "b": spec.b, "c": spec.c}
    if None not in stated.values():
        text = f"abc({spec.a}, {spec.b}, {spec.c})"
    else:
        parts = [f"{name} = {value}" for name, value in stated.items() if value is not None]
        text = ", ".join([*parts, parametrization])
    return text + (" frozen" if spec.frozen else "")


def _param_summary(spec: Any) -> dict[str, Any]:
    exponents: dict[str, Affine | None] = {"a": spec.a, "b": spec.b, "c": spec.c}
    return {
        "type": str(spec.type),
        **{name: None if value is None else str(value) for name, value in exponents.items()},
        "sigma": str(spec.sigma),
        "mult": str(spec.mult),
        "init": spec.init,
        "frozen": spec.frozen,
    }
