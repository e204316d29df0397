"""What is written for other frameworks says what was solved, and runs where they are installed."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.export.rules import pattern
from tpc.optimizers import optimizers

TEXT = """
width n
size d = 8, k = 3
parametrization mup
input x : [d]
target y : [k]
param U : [n, d]
param b : [n] init zero
param W[2..3] : [n, n] init normal(sqrt(2))
param V : [k, n] mult 2 init normal(1/8)
def f(x) = V @ relu(W[3] @ relu(W[2] @ relu(U @ x + b)))
train:
    loss = mse(f(x), y)
    optimizer {optimizer}
"""
OPTIMIZERS = ("sgd(lr = 0.001)", "adamw(lr = 0.002, decay = 0.1, eps = 1e-8)")
#: Optimizers that frameworks lack, or spell in other ways; muon needs another one for vectors.
FURTHER = (
    "lion(lr = 0.001)",
    "sign(lr = 0.001)",
    "adafactor(lr = 0.05)",
    "rmsprop(lr = 0.0005, decay = 0.1, eps = 1e-8)",
    "adagrad(lr = 0.004)",
    "muon(lr = 0.05) for U, W, V\n    optimizer adam(lr = 0.002) for b",
)
ALL = (*OPTIMIZERS, *FURTHER)
NAMES = [each.partition("(")[0] for each in ALL]


def export(target: str, optimizer: str = OPTIMIZERS[1], gauge: str = "table8") -> str:
    program = tpc.compile(text=TEXT.replace("{optimizer}", optimizer))
    return program.solve(gauge).export(target, base_width=64)


def rules(text: str) -> dict[str, dict[str, Any]]:
    """Return the rules of a written file by the comment that names the weights."""
    names = re.findall(r"^    # (.*): \w+$", text, re.MULTILINE)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RULES":
            assert isinstance(node.value, ast.List)
            dicts = [eval_numbers(element) for element in node.value.elts]
            return dict(zip(names, dicts, strict=True))
    raise AssertionError("no rules")


def eval_numbers(element: ast.expr) -> dict[str, Any]:
    assert isinstance(element, ast.Tuple)
    code = compile(ast.Expression(element.elts[1]), "rules", "eval")
    found: dict[str, Any] = eval(code, {})
    return found


@pytest.mark.parametrize("target", ["torch", "optax"])
def test_numbers_of_the_rules(target: str) -> None:
    found = rules(export(target))
    assert list(found) == ["U", "b", "W[2..3]", "V"]
    hidden, readout = found["W[2..3]"], found["V"]
    assert hidden["std"] == (pytest.approx(2**0.5 / 8), -0.5)
    assert hidden["lr"] == (0.002, -1)
    assert hidden["weight_decay"] == (0.1, 1)
    assert hidden["eps"] == (1e-8, -1)
    assert readout["mult"] == (2.0, -1)
    assert readout["std"] == (0.015625, 0)
    assert found["b"]["fill"] == 0.0


def test_json() -> None:
    found = json.loads(export("json"))
    assert found["schema"] == 1
    assert found["base_width"] == 64
    assert found["kind"] == "feature"
    hidden = found["weights"]["W[2]"]
    assert (hidden["a"], hidden["b"], hidden["c"]) == ("0", "1/2", "1")
    assert hidden["deviation"] == {"constant": "sqrt(2)/8", "power": "-1/2"}


def test_patterns() -> None:
    found = pattern(["W[2]", "W[3]", "U"])
    assert all(re.search(found, name) for name in ("W.2", "net.W_3.weight", "U", "U.weight"))
    assert not any(re.search(found, name) for name in ("W.4", "U.bias", "MU", "W"))


@pytest.mark.parametrize("name", sorted(optimizers()))
@pytest.mark.parametrize("target", ["torch", "optax"])
def test_every_optimizer_is_written(target: str, name: str) -> None:
    lines = {"muon": "muon(lr = 0.05) for U, W, V\n    optimizer adam(lr = 0.002) for b"}
    text = export(target, lines.get(name, f"{name}(lr = 0.01)"))
    ast.parse(text)
    assert f'"{name}": lambda' in text


# -- where torch is installed ----------------------------------------------------------------------


def load(text: str, folder: Path, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changes(written: ModuleType, width: int, seed: int) -> Iterator[float]:
    """Train a little; yield by how much the coordinates of every layer have changed."""
    import torch

    torch.manual_seed(seed)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.U = torch.nn.Linear(8, width, bias=False)
            self.b = torch.nn.Parameter(torch.zeros(width))
            self.W = torch.nn.ModuleDict(
                {k: torch.nn.Linear(width, width, bias=False) for k in "23"}
            )
            self.V = torch.nn.Linear(width, 3, bias=False)

        def layers(self, x: Any) -> list[Any]:
            found = [self.U(x) + self.b]
            for k in "23":
                found.append(self.W[k](torch.relu(found[-1])))
            return [*found, self.V(torch.relu(found[-1]))]

    network, random = Network(), torch.Generator().manual_seed(1)
    used = list(written.make(written.prepare(network, width)).values())
    x, y = torch.randn(4, 8, generator=random), torch.randn(4, 3, generator=random)
    start = [layer.detach() for layer in network.layers(x)]
    for _ in range(4):
        network.zero_grad()
        torch.nn.functional.mse_loss(network.layers(x)[-1], y).backward()
        for optimizer in used:
            optimizer.step()
    for before, after in zip(start, network.layers(x), strict=True):
        yield float((after.detach() - before).pow(2).mean().sqrt())


@pytest.mark.parametrize("gauge", ["table8", "table9"])
@pytest.mark.parametrize("optimizer", ALL, ids=NAMES)
def test_coordinate_check_in_torch(optimizer: str, gauge: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    written = load(export("torch", optimizer, gauge), tmp_path, "written")
    # below, the initial output of size n^(-1/2) shows; singular values are slow above
    widths = (128, 256, 512) if "muon" in optimizer else (512, 1024, 2048)
    sizes = [
        np.mean([list(changes(written, width, seed)) for seed in range(3)], axis=0)
        for width in widths
    ]
    slopes = np.polyfit(np.log(widths), np.log(sizes), 1)[0]
    assert np.abs(slopes).max() < 0.12, slopes


# -- where optax is installed ----------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ALL, ids=NAMES)
def test_coordinate_check_in_optax(optimizer: str, tmp_path: Path) -> None:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    written = load(export("optax", optimizer), tmp_path, "written")
    jnp, relu = jax.numpy, jax.nn.relu

    def layers(params: Any, x: Any) -> list[Any]:
        found = [x @ params["U"].T + params["b"]]
        for k in "23":
            found.append(relu(found[-1]) @ params["W"][k].T)
        return [*found, relu(found[-1]) @ params["V"].T]

    def moved(width: int, seed: int) -> list[float]:
        square = jnp.zeros((width, width))
        shapes = {"U": jnp.zeros((width, 8)), "b": jnp.zeros(width), "V": jnp.zeros((3, width))}
        params = {**shapes, "W": {"2": square, "3": square}}
        params = written.initialise(params, width, jax.random.PRNGKey(seed))
        draw = jax.random.normal(jax.random.PRNGKey(99), (4, 11))
        x, y = draw[:, :8], draw[:, 8:]

        def loss(params: Any) -> Any:
            return ((layers(written.effective(params, width), x)[-1] - y) ** 2).mean()

        optimizer_ = written.make(width)
        state = optimizer_.init(params)
        start = layers(written.effective(params, width), x)

        @jax.jit
        def step(params: Any, state: Any) -> Any:
            updates, state = optimizer_.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        for _ in range(4):
            params, state = step(params, state)
        end = layers(written.effective(params, width), x)
        pairs = zip(start, end, strict=True)
        return [float(((b - a) ** 2).mean() ** 0.5) for a, b in pairs]

    widths = (128, 256, 512) if "muon" in optimizer else (256, 512, 1024)
    sizes = [np.mean([moved(width, seed) for seed in range(3)], axis=0) for width in widths]
    slopes = np.polyfit(np.log(widths), np.log(sizes), 1)[0]
    assert np.abs(slopes).max() < 0.12, slopes
