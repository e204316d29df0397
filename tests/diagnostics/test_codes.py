"""Every code is met: calls and data that are refused, beside the programs of tests/bad."""

from __future__ import annotations

import importlib
import itertools
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.data import load
from tpc.datasets.omniglot import load as load_characters
from tpc.diagnostics import TpcError, all_codes
from tpc.kernel_session import KernelSession, Meta
from tpc.limit.predict import tangent
from tpc.limit.solving import solve
from tpc.optimizers.settings import settings

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
width n
size d = 3, k = 1
parametrization {parametrization}
input x : [d]
target y : [k]
param U : [n, d]
param W : [n, n]
param V : [k, n]
"""
BIASED = "param b : [n]\ndef f(x) = V @ tanh(U @ x + b)\n"
NET = "def f(x) = V @ tanh(W @ tanh(U @ x))\n"
RANDOM = "def f(x) = V @ tanh(W @ tanh(U @ x) * (n^(-1/2) * dot(tanh(U @ x), W @ tanh(U @ x))))\n"
TEXT = """
width n
size vocab = 5, T = 3
input ids : [T] in vocab
parametrization ntk
param E : [vocab, n]
param V : [2, n]
target y : [2]
def f(ids) = V @ E[ids[1]]
"""
ROWS = """
width n
size d = 3, T = 2, k = 2
parametrization ntk
input x : [T, d]
target y : [T, k]
param U : [n, d]
param V : [k, n]
def f(x) = einsum("k n, t n -> t k", V, tanh(einsum("n d, t d -> t n", U, x)))
train:
    loss = cross_entropy(f(x), y)
    optimizer sgd(lr = 1)
"""
LABELS = """
width n
size d = 3, k = 2
parametrization ntk
input x : [d]
target y : [k]
param V : [k, d]
def f(x) = V @ x
"""
TRAIN = "train:\n    loss = mse(f(x), y)\n    optimizer {}\n"
X, Y = np.eye(4, 3), np.ones((4, 1))
DATA = {"x": X, "y": Y}


def program(
    net: str = NET, optimizer: str | None = "sgd(lr = 0.1)", parametrization: str = "ntk"
) -> tpc.Program:
    train = "" if optimizer is None else TRAIN.format(optimizer)
    return tpc.compile(text=HEAD.format(parametrization=parametrization) + net + train)


def feature(
    optimizer: str = "sgd(lr = 0.1)", net: str = NET, parametrization: str = "mup", **options: Any
) -> Any:
    found = program(net, optimizer, parametrization).limit("feature")
    return found.train(DATA, 2, **options)


def unstable() -> None:
    text = HEAD.format(parametrization="mup").replace("[n, d]", "[n, d] abc(-1/2, 0, 0)")
    found = tpc.compile(text=text + NET + TRAIN.format("sgd(lr = 0.1)"))
    found.limit("feature").train(DATA, 1, particles=256)


def rows_with_axes() -> None:
    session = KernelSession(tpc.compile(text=ROWS).limit("ntk"), ways=2, meta=Meta(clip=1.0))
    x, y = np.ones((1, 2, 2, 3)), np.ones((1, 2, 2, 2))
    session.step({"xs": x, "xq": x, "ys": y, "yq": y})


def muon_for_a_vector() -> None:
    module = program(BIASED).module
    muon = program(optimizer="muon(lr = 0.1)").module.optimizers
    settings(replace(module, optimizers=muon), "b")


def labels_too_large(folder: Path) -> None:
    np.savez(folder / "data.npz", x=X, y=np.arange(4))
    load(tpc.compile(text=LABELS).module, [str(folder / "data.npz")])


def unnamed_array(folder: Path) -> None:
    np.save(folder / "x.npy", X)
    load(program().module, [str(folder / "x.npy")])


def unreadable_lines(folder: Path) -> None:
    path = folder / "lines.tsv"
    path.write_text("one\ttwo\nthree\n")
    load(tpc.compile(text=TEXT).module, [str(path)])


def image_for_a_vector(folder: Path) -> None:
    with zipfile.ZipFile(folder / "images.zip", "w") as file:
        file.writestr("class/a.png", b"")
    load(program().module, [f"x={folder / 'images.zip'}"])


def split_of_nothing(folder: Path) -> None:
    (folder / "vinyals_split").mkdir()
    (folder / "vinyals_split" / "train.json").write_text('{"background": {"Greek": ["alpha"]}}')
    with zipfile.ZipFile(folder / "images_background.zip", "w"):
        pass
    load_characters(folder, "train")


def impatient(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tpc.scaling.run._PATIENCE", 0)
    program().classify()


def no_room(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(importlib.import_module("tpc.scaling.region"), "_MOST_CELLS", 0)
    program(parametrization="mup").region()


def unsolved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tpc.scaling.trial._PATIENCE", 0)
    program(optimizer="adam(lr = 0.1)", parametrization="mup").solve()


MET: dict[str, Callable[[], Any]] = {
    "E0915": rows_with_axes,
    "E0920": muon_for_a_vector,
    "E0921": lambda: program(optimizer="adam(lr = 0.1, eps = faithful)").simulate(
        DATA, width=4, seeds=[0], steps=1
    ),
    "E0925": lambda: program().simulate(DATA, width=0, seeds=[0], steps=1),
    "E0927": lambda: program().simulate(DATA, width=4, seeds=[], steps=1),
    "E0938": lambda: KernelSession(program().limit("ntk"), ways=1),
    "E0950": unstable,
    "E0951": lambda: feature(
        net="def f(x) = V @ tanh(W @ tanh(U @ x) * (V @ tanh(U @ x))[1])\n", parametrization="ntk"
    ),
    "E0952": lambda: (
        program(optimizer="muon(lr = 0.1)", parametrization="mup").limit("feature").equations
    ),
    "E0953": lambda: feature(particles=4),
    "E0960": lambda: program().limit("gp"),  # type: ignore[call-overload]
    "E0961": lambda: program().limit("nngp").evaluate(X[:, :2]),
    "E0963": lambda: program(parametrization="standard").limit("ntk"),
    "E0965": lambda: tangent(np.eye(4), np.eye(4), Y).steps(30.0, [100]),
    "E0966": lambda: tangent(np.eye(4), np.eye(3), Y),
    "E0967": lambda: program().limit("nngp").train(DATA, 1),
    "E0968": lambda: solve(
        1 / np.add.outer(np.arange(1.0, 65), np.arange(64)), np.ones(64), method="cg", rank=0
    ),
    "E0969": lambda: program().flow(DATA, [2.0, 1.0]),
}
WITH_FILES = {
    "E0911": unnamed_array,
    "E0913": labels_too_large,
    "E0916": split_of_nothing,
    "E0917": image_for_a_vector,
    "E0918": unreadable_lines,
}
INSIDE = {"E0932": impatient, "E0933": no_room, "E0944": unsolved}
"""Nets below the analyses, which no program is known to reach."""


def codes(call: Callable[[], Any]) -> list[str]:
    with pytest.raises(TpcError) as caught:
        call()
    assert str(caught.value)
    return [each.code for each in caught.value.diagnostics]


@pytest.mark.parametrize("code", MET)
def test_refused(code: str) -> None:
    assert codes(MET[code]) == [code]


@pytest.mark.parametrize("code", WITH_FILES)
def test_refused_files(code: str, tmp_path: Path) -> None:
    assert codes(lambda: WITH_FILES[code](tmp_path)) == [code]


@pytest.mark.parametrize("code", INSIDE)
def test_nets(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert codes(lambda: INSIDE[code](monkeypatch)) == [code]


def test_every_code_is_met() -> None:
    files = itertools.chain((ROOT / "tests").rglob("*.py"), (ROOT / "tests" / "bad").glob("*.tp"))
    met = {code for p in files for code in re.findall(r"E0\d{3}", p.read_text(encoding="utf-8"))}
    assert set(all_codes()) <= met
