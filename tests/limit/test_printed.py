"""The printed recursions of kernels, in full: text and LaTeX."""

from __future__ import annotations

from pathlib import Path

import pytest
from limit.test_finite import text_of

import tpc
from tests.conftest import Golden

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("name", ["gru", "tied autoencoder", "random scores"])
def test_golden(name: str, golden: Golden) -> None:
    found = tpc.compile(text=text_of(name).replace("T = 3", "T = 2")).limit("nngp")
    stem = name.replace(" ", "_")
    golden(f"limit/{stem}.txt", found.text())
    golden(f"limit/{stem}.tex", found.latex())


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_golden_of_images(kind: str, golden: Golden) -> None:
    text = (EXAMPLES / "convnet.tp").read_text(encoding="utf-8")
    found = tpc.compile(text=text).limit(kind)
    golden(f"limit/convnet_{kind}.txt", found.text())
    golden(f"limit/convnet_{kind}.tex", found.latex())
