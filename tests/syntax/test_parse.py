"""From text to tree: what the grammar means, and texts that are hard on a parser."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.diagnostics import Source, TpcError, render
from tpc.syntax import decode, dump, parse, parse_expression, tree
from tpc.syntax.expectations import SENTENCES
from tpc.syntax.grammar import load_parser
from tpc.syntax.messages import by_state, failing

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tp"))


def program(text: str) -> tree.Program:
    return parse(Source.of(text))


def codes(text: str) -> list[str]:
    with pytest.raises(TpcError) as raised:
        program(text)
    return [each.code for each in raised.value.diagnostics]


def shape(text: str) -> str:
    """An expression with every operation in brackets."""
    return _shape(parse_expression(text, "test"))


def _shape(node: tree.Node) -> str:
    match node:
        case tree.Name(name=name):
            return name
        case tree.Number(text=text):
            return text
        case tree.Signed(sign=sign, operand=operand):
            return f"({sign}{_shape(operand)})"
        case tree.Power(base=base, exponent=exponent):
            return f"({_shape(base)}^{_shape(exponent)})"
        case tree.Chain(first=first, links=links):
            text = _shape(first)
            for link in links:
                text = f"({text}{link.operator}{_shape(link.operand)})"
            return text
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b - c", "((a+b)-c)"),
        ("a @ b * c", "((a@b)*c)"),
        ("a * (b @ c)", "(a*(b@c))"),
        ("-a^2", "(-(a^2))"),
        ("a^b^c", "(a^(b^c))"),
        ("a^-b", "(a^(-b))"),
        ("n^-1/2", "((n^(-1))/2)"),
        ("-a * b", "((-a)*b)"),
        ("a - -b", "(a-(-b))"),
        ("((a))", "a"),
    ],
)
def test_precedence(text: str, expected: str) -> None:
    assert shape(text) == expected


def test_numbers_are_exact() -> None:
    for text, value in (("0.1", Fraction(1, 10)), ("1e-3", Fraction(1, 1000)), (".5", 0.5)):
        number = parse_expression(text, "test")
        assert isinstance(number, tree.Number)
        assert number.value == value


def test_ranges_are_not_decimals() -> None:
    found = program("def f(x) = x[2..3]\n").body[0]
    assert isinstance(found, tree.FunctionDeclaration)
    (only,) = found.body
    assert isinstance(only, tree.Return)
    assert isinstance(only.value, tree.Index)
    assert isinstance(only.value.places[0], tree.Range)


def test_words_are_names_where_no_keyword_may_stand() -> None:
    text = "def block(noise, eps, size):\n    target = noise * eps\n    train = target[1]\n"
    text += (
        "    return sgd(lr = 1, decay = size)\nparam input, init : [n] init normal(mult) lr eps\n"
    )
    body = program(text).body
    assert isinstance(body[0], tree.FunctionDeclaration)
    assert [each.name for each in body[0].arguments] == ["noise", "eps", "size"]
    assert isinstance(body[1], tree.ParamDeclaration)
    assert [each.keyword for each in body[1].modifiers] == ["init", "lr"]


def test_spans() -> None:
    source = Source.of("def f(x) = V @ tanh(W @ x)\n")
    texts = [each.span.text for each in tree.walk(parse(source))]
    assert "V @ tanh(W @ x)" in texts
    assert "tanh(W @ x)" in texts


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    found = parse(decode(path.read_bytes(), path.name))
    assert dump(found).startswith("Program")


def test_line_ends_and_final_newline() -> None:
    text = "width n\ndef f(x):\n    return x\n"
    expected = program(text)
    assert program(text.replace("\n", "\r\n")) == expected
    assert program(text.rstrip("\n")) == expected
    assert program("\ufeff" + text) == expected
    assert program("\n\n" + text.replace("\n", "  # said\n\n")) == expected
    assert program(text + "    # at the end") == expected


def test_lines_go_on_inside_brackets() -> None:
    one = program("def f(x) = g(x, axis = (1, 2))\n")
    assert program("def f(x) = g(  # why\n    x,\naxis = (1,\n  2)\n)\n") == one


def test_bytes() -> None:
    with pytest.raises(TpcError) as raised:
        decode(b"width n\n# \xff", "x.tp")
    (only,) = raised.value.diagnostics
    assert (only.code, str(only.span)) == ("E0111", "x.tp:2:3")


def test_sentences_fail_where_they_say() -> None:
    """Each message is filed under a sentence that the parser refuses at its end."""
    for sentence in SENTENCES:
        assert failing(sentence)
    assert len(by_state()) == len(SENTENCES)


# ---- hard texts ------------------------------------------------------------------------------


def test_deep_nesting() -> None:
    many = 5000
    assert program("def f(x) = " + "(" * many + "x" + ")" * many) == program("def f(x) = x")
    for text in (
        "tanh(" * many + "x" + ")" * many,
        "-" * many + "x",
        "^".join(["x"] * many),
        "x" + "[1]" * many,
    ):
        assert codes(f"def f(x) = {text}\n") == ["E0113"]
    assert codes("def f(x) = " + "(" * many + "x\n") == ["E0103"]
    assert codes("def f(x) = x" + ")" * many + "\n") == ["E0104"]
    deep = "".join(" " * i + f"for l{i} in 1..2:\n" for i in range(1, 200)) + " " * 200 + "z = 1\n"
    assert codes("def f(x):\n" + deep + " return z\n") == ["E0113"]


def test_long_chains_are_flat() -> None:
    text = " + ".join(["x"] * 5000)
    found = parse_expression(text, "test")
    assert isinstance(found, tree.Chain)
    assert len(found.links) == 4999


def test_long_programs() -> None:
    lines = "".join(f"    z{i} = x + {i}\n" for i in range(5000))
    (only,) = program(f"def f(x):\n{lines}    return x\n").body
    assert isinstance(only, tree.FunctionDeclaration)
    assert len(only.body) == 5001


def test_too_long_programs() -> None:
    assert codes("# " + "x" * 4_000_001) == ["E0114"]


def test_many_errors_are_cut() -> None:
    found = codes("def f(x):\n" + "    z = = 1\n" * 1000 + "    return z\n")
    assert len(found) == 31
    assert found[-1] == "E0119"


def test_each_line_has_its_own_errors() -> None:
    text = (Path(__file__).resolve().parents[1] / "bad" / "syntax-several.tp").read_text()
    assert len(codes(text)) == 3


TEXTS = [path.read_text(encoding="utf-8") for path in EXAMPLES]


def survives(text: str) -> None:
    """Any text ends in a tree or in diagnostics that can be rendered."""
    try:
        parse(Source.of(text))
    except TpcError as error:
        found = error.diagnostics
    else:
        return
    assert render(found)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    survives(text)


@given(st.lists(st.sampled_from([each.name for each in load_parser().terminals]), max_size=30))
def test_any_tokens(kinds: list[str]) -> None:
    samples = {each.name: each.pattern.value for each in load_parser().terminals}
    samples |= {"NAME": "x", "NUMBER": "1", "STRING": '"a"', "NEWLINE": "\n    ", "BLANK": " "}
    survives("def f(x):\n    " + " ".join(samples[each] for each in kinds if each != "COMMENT"))


@given(st.integers(0, 10**6))
def test_damaged_programs(seed: int) -> None:
    """A program with some characters lost, doubled or changed is read to its end."""
    chance = random.Random(seed)
    letters = list(chance.choice(TEXTS))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(letters))
        letters[at] = chance.choice(["", letters[at] * 2, chance.choice("()[],:=\n \t@^.'\"#x1")])
    survives("".join(letters))


@given(st.integers(0, 10**6))
def test_one_broken_line_is_one_error(seed: int) -> None:
    """A line with a syntax error does not make other lines faulty."""
    chance = random.Random(seed)
    lines = chance.choice(TEXTS).splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if line.startswith("    ") and "= " in line]
    at = chance.choice(places)
    lines[at] = lines[at].split("=")[0] + "= = 1\n"
    assert len(codes("".join(lines))) == 1
