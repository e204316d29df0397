"""Renderings, as texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tpc.diagnostics import (
    Diagnostic,
    Label,
    Source,
    Span,
    TpcError,
    all_codes,
    closest,
    explain,
    render,
)
from tpc.elaborate import elaborate
from tpc.syntax import decode, parse

BAD = Path(__file__).resolve().parents[1] / "bad"
SHOWN = (
    "several-independent",
    "several-shapes",
    "syntax-unclosed_three",
    "weights-mixed",
    "shapes-contraction_transposed",
    "names-recursion",
    "theory-explosive",
    "training-moved_twice",
)


@pytest.mark.parametrize("name", SHOWN)
def test_full(name: str, golden: Callable[[str, str], None]) -> None:
    path = BAD / f"{name}.tp"
    with pytest.raises(TpcError) as raised:
        elaborate(parse(decode(path.read_bytes(), path.name)))
    golden(f"diagnostics/{name}.txt", render(raised.value.diagnostics))


def place(source: Source, text: str) -> Span:
    start = source.text.index(text)
    return source.span(start, start + len(text))


def example() -> Diagnostic:
    source = Source.of("size d = 3\n\n\nz = phi(W @ x)\n", "a.tp")
    labels = (Label(place(source, "W"), "[n, n]"), Label(place(source, "x"), "[3]"))
    labels += (Label(place(source, "d"), "declared here"),)
    return Diagnostic("E0301", "axes differ", place(source, "@"), labels, "transpose\nor not")


def test_layout() -> None:
    assert render([example()]) == (
        "error[E0301]: axes differ\n"
        " --> a.tp:4:11\n"
        "  |\n"
        "1 | size d = 3\n"
        "  |      - declared here\n"
        "...\n"
        "4 | z = phi(W @ x)\n"
        "  |         - ^ - [3]\n"
        "  |         |\n"
        "  |         [n, n]\n"
        "  |\n"
        "  = help: transpose\n"
        "          or not\n"
    )


def test_concise() -> None:
    assert render([example()], "concise") == "a.tp:4:11: error[E0301]: axes differ\n"


def test_json() -> None:
    document = json.loads(render([example()], "json"))
    assert document["version"] == 1
    (only,) = document["diagnostics"]
    assert only["place"]["start"] == {"line": 4, "column": 11, "offset": 23}
    assert len(only["labels"]) == 3


def test_github() -> None:
    expected = (
        "::error file=a.tp,line=4,endLine=4,col=11,endColumn=12,title=E0301::"
        "axes differ%0Ahelp: transpose%0Aor not\n"
    )
    assert render([example()], "github") == expected


def test_no_place() -> None:
    found = Diagnostic("E0706", "no such size", help="look")
    assert render([found]) == "error[E0706]: no such size\n  = help: look\n"
    assert render([found], "concise") == "error[E0706]: no such size\n"


def test_long_lines_are_cut_around_the_caret() -> None:
    source = Source.of("x = " + "a + " * 500 + "$", "long.tp")
    found = Diagnostic("E0102", "stray", place(source, "$"))
    lines = render([found]).splitlines()
    assert max(map(len, lines)) < 170
    shown, caret = lines[3], lines[4]
    assert shown[caret.index("^")] == "$"


def test_wide_characters_do_not_move_the_caret() -> None:
    source = Source.of("变量 = $", "wide.tp")
    lines = render([Diagnostic("E0102", "stray", place(source, "$"))]).splitlines()
    assert lines[4].index("^") == lines[3].index("$") + 2  # two characters take two columns each


def test_control_characters_are_not_printed() -> None:
    source = Source.of("x = \x1b[31m", "x.tp")
    assert "\x1b" not in render([Diagnostic("E0102", "stray", source.span(4, 5))])


def test_nothing() -> None:
    assert render([]) == ""
    assert json.loads(render([], "json"))["diagnostics"] == []
    with pytest.raises(ValueError, match="unknown form"):
        render([], "yaml")


def test_every_code_has_a_text() -> None:
    for code in all_codes():
        assert (explain(code) or "").startswith(f"{code}: ")
    assert explain("e0101") == explain("0101") == explain("E0101")
    assert explain("E9999") is None


def test_closest() -> None:
    assert closest("widht", ["width", "size"]) == "width"
    assert closest("Relu", ["relu", "elu"]) == "relu"
    assert closest("q", ["w", "e"]) is None
    assert closest("zebra", ["width", "size"]) is None


def test_positions_invert() -> None:
    source = Source.of("ab\r\nc\rd\n")
    assert source.text == "ab\nc\nd\n"
    for offset in range(len(source.text) + 1):
        assert source.offset(*source.position(offset)) == offset
