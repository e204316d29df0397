"""Architectures, optimizers and mistakes: their classes by theory, and a few of them measured.

Every program of tests/zoo states its class, and the exponents of some of its values, derived by
hand. ``python bench/slopes.py`` measures all of them.
"""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

import tpc

ZOO = sorted((Path(__file__).resolve().parents[1] / "zoo").glob("*.tp"))
#: One of each sort: kernel, feature, operator, late movers, lazy layers, growth with n^(1/2).
MEASURED = (
    "mlp_standard_sgd_rate_n",
    "mlp_mup_sgd",
    "mlp_ntk_adam_operator",
    "mlp_sgd_on_adam_table",
    "mlp_clip_wrong_gauge",
    "mlp_mup_zero_readout",
    "lora_plus",
    "towers_ntk",
    "autoencoder_bottleneck_bias",
    "norm_forgives_init",
    "batch_norm_adam",
    "word2vec_original",
)
BROKEN = ("mlp_standard_sgd", "critic_standard", "attention_root_n", "lora_one_rate")


def name_of(path: Path) -> str:
    return path.stem


def expectations(path: Path, what: str) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(what).strip() for line in lines if line.startswith(what)]


@cache
def compiled(path: Path) -> tpc.Program:
    return tpc.compile(path)


def exponent(text: str) -> Fraction | float:
    return math.inf if text == "inf" else Fraction(text)


def test_there_are_many() -> None:
    assert len(ZOO) >= 60
    kinds = {kind for path in ZOO for kind in expectations(path, "# expect:")}
    assert kinds == {"unstable", "degenerate", "trivial", "kernel", "feature"}


@pytest.mark.parametrize("path", ZOO, ids=name_of)
def test_class(path: Path) -> None:
    (kind,) = expectations(path, "# expect:")
    found = compiled(path).classify()
    assert found.kind == kind, found.why()
    for line in expectations(path, "# expect values:"):
        name, init, change = line.split()
        size = {**found.values, **found.outputs}[name]
        assert (size.init, size.change) == (exponent(init), exponent(change)), found.why(name)


@pytest.mark.parametrize("path", ZOO, ids=name_of)
def test_each_says_what_it_is(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# {path.name}: ")


@pytest.mark.parametrize("name", MEASURED)
def test_measured(name: str) -> None:
    (path,) = [path for path in ZOO if path.stem == name]
    found = compiled(path).slopes(widths=(64, 128, 256), seeds=range(8))
    assert found.judged
    assert found.holds, found.text()


@pytest.mark.parametrize("name", BROKEN)
def test_unstable_programs_grow(name: str) -> None:
    (path,) = [path for path in ZOO if path.stem == name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compiled(path).slopes(widths=(32, 64, 128), seeds=range(4))
    assert not found.judged
    assert any((row.slope or 0) > 0.2 for row in found.rows), found.text()
