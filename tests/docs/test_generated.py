"""The generated tables of the language reference are up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_language_reference_is_up_to_date() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))["generate"]
    text = (DOCS / "language.md").read_text(encoding="utf-8")
    assert generate(text) == text, "run: python docs/generate.py"
