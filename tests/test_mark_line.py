"""What may be written as a mark, and what the ledger says of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli.marks.line import Mark, NotAMark, label, parse
from eco2ai_cli.marks.send import LIMIT, compose

LOSS = (("loss", "0.21"),)
text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Cf", "Co", "Cn")))


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        (b"", Mark(None)),
        (b"\r\n", Mark(None)),
        (b"epoch\n", Mark(None)),
        (b"3\n", Mark("3")),
        (b"epoch 3", Mark("3")),
        (b"epoch: 3", Mark("3")),
        (b"epoch=3", Mark("3")),
        (b"Epoch 3/10", Mark("3", total=10)),
        (b"3 of 10", Mark("3", total=10)),
        (b"Epoch [3/10], Loss: 0.21", Mark("3", (("Loss", "0.21"),), 10)),
        (b"epoch 3 loss=0.21", Mark("3", LOSS)),
        (b"epoch: 3, loss: 0.21", Mark("3", LOSS)),
        (b"Epoch 3: loss: 0.21", Mark("3", LOSS)),
        (b"loss=0.21", Mark(None, LOSS)),
        (b"warmup loss=0.21 acc=0.9", Mark("warmup", (*LOSS, ("acc", "0.9")))),
        (b"warmup: loss=0.21,acc=0.9", Mark("warmup", (*LOSS, ("acc", "0.9")))),
        (b"epoch warmup", Mark("warmup")),
        (b"fold 2 loss=0.21", Mark("fold 2", LOSS)),
        (b'"second fold of two"', Mark("second fold of two")),
        (b"note=\"a b\" why='c d'", Mark(None, (("note", "a b"), ("why", "c d")))),
        (b'x="\\""', Mark(None, (("x", '"'),))),
        (b'note="never closed', Mark(None, (("note", "never closed"),))),
        (b"shape=[1,2], n=1", Mark(None, (("shape", "[1,2]"), ("n", "1")))),
        (b"loss=0,21", Mark(None, (("loss", "0,21"),))),
        (b"loss=", Mark(None, (("loss", ""),))),
        ("époque loss=0.21".encode(), Mark("époque", LOSS)),
        (b'{"epoch": 3, "loss": 0.21}', Mark("3", LOSS)),
        (b'{"epoch": 3.0, "ok": true, "a b": "c"}', Mark("3", (("ok", "true"), ("a b", "c")))),
        (b'{"epoch": "3/10"}', Mark("3", total=10)),
        (b"{}", Mark(None)),
    ],
)  # fmt: skip
def test_a_mark_may_be_written_so(line: bytes, mark: Mark) -> None:
    assert parse(line) == mark


@pytest.mark.parametrize(
    "line",
    [
        b"Loading the data set from disk",
        b"loss=0.21 done",
        b"=3",
        b"-----",
        b"\x00\x01\x02",
        b"\xff\xfe",
        b"a\x1b[31mb",
        b'{"epoch": 3',
        b"{" * 4000,
        b"[1, 2]",
    ],
)
def test_what_is_no_mark_is_told_so(line: bytes) -> None:
    with pytest.raises(NotAMark):
        parse(line)


@given(st.binary(max_size=5000))
def test_any_bytes_are_a_mark_or_none_and_what_is_kept_can_be_printed(line: bytes) -> None:
    try:
        mark = parse(line)
    except NotAMark:
        return
    assert label(mark, 1).isprintable()


def test_the_cell_is_as_the_paper_has_it() -> None:
    assert label(parse(b"3 loss=0.21"), 7) == "epoch: 3, loss: 0.21"
    assert label(parse(b"loss=0.21"), 7) == "epoch: 7, loss: 0.21"
    assert label(parse(b"warmup"), 7) == "epoch: warmup"


def test_a_value_that_would_look_like_two_is_in_quotes() -> None:
    assert label(Mark("3", (("note", "a, b: c"),)), 1) == 'epoch: 3, note: "a, b: c"'


@given(text, text)
def test_the_cell_reads_back_as_the_mark(key: str, value: str) -> None:
    mark = Mark("3", (("loss", value),))
    if value and not set(value) & set(" :=;'\\"):
        assert parse(label(mark, 1).encode()) == mark


def test_control_characters_and_broken_utf_8_of_a_value_become_printable() -> None:
    assert parse(b"3 note=\xff\x1b[0m").values == (("note", "\\xff\\x1b[0m"),)


@pytest.mark.parametrize(
    "line",
    [b"3 loss=0.21 note=", b"3 loss=0.21 notes=", b'{"epoch": 3, "loss": 0.21, "note": "'],
)
def test_a_line_over_the_limit_is_cut_and_says_so(line: bytes) -> None:
    mark = parse(line + "é".encode() * LIMIT)
    assert mark.is_cut
    assert (mark.name, mark.values[:1]) == ("3", LOSS)
    assert all("\\x" not in value for _, value in mark.values)  # no character was parted


def test_a_line_of_the_limit_with_its_end_is_whole() -> None:
    line = b"note=" + b"x" * (LIMIT - 6)
    assert not parse(line + b"\n").is_cut
    assert parse(line + b"x\n").is_cut


@given(
    st.none() | st.text(max_size=20).map(str.strip),
    st.dictionaries(st.text(min_size=1, max_size=10).filter(str.isprintable), st.text(max_size=20)),
)
def test_what_is_sent_is_one_line_that_reads_back(name: str | None, values: dict[str, str]) -> None:
    values = {k: v for k, v in values.items() if k.lower() != "epoch"}
    line = compose(name, values)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    try:
        mark = parse(line)
    except NotAMark:
        assert name is not None
        assert not name.isprintable()
        return
    assert [key for key, _ in mark.values] == list(values)
    for (_, got), sent in zip(mark.values, values.values(), strict=True):
        if sent.isprintable():
            assert got == sent


def test_a_sent_line_over_the_limit_is_one_write_of_the_limit_and_known_to_be_cut() -> None:
    for length in range(LIMIT - 30, LIMIT + 30):
        line = compose("3", {"loss": 0.21, "note": "é" * (length // 2) + "x" * (length % 2)})
        assert len(line) <= LIMIT
        assert parse(line).is_cut == (length > LIMIT - len("3 loss=0.21 note=\n"))


def test_a_scalar_of_an_array_library_is_its_number() -> None:
    class Scalar:
        def item(self) -> float:
            return 0.20999999344348907  # float32(0.21)

    assert compose(3, {"loss": Scalar()}) == b"3 loss=0.21\n"
    assert compose(None, {"x": 1e-5, "n": 3}) == b"x=1e-05 n=3\n"


def test_json_numbers_stay_as_they_were() -> None:
    values = {"a": 0.1, "b": 1e-9, "c": 12345678901234567890}
    assert dict(parse(json.dumps(values).encode()).values) == {k: str(v) for k, v in values.items()}
