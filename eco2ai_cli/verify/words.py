"""Say in sentences what a verdict means, what it covers, and what nobody can see."""

from __future__ import annotations

from collections.abc import Iterator

from eco2ai_cli.verify.verdict import Fault, Verdict

_OF_CONTENT = frozenset({"cell", "hash", "hash-cell", "no-hash", "header", "run"})
_OF_SEALS = frozenset({"seal", "seal-order", "seal-key"})
_OF_FIGURES = frozenset({"cell", "run"})


def conclusion(verdict: Verdict) -> str:
    """Return in one sentence what has happened to the file, as far as that can be told."""
    found = {kind for kind, count in verdict.counts.items() if count}
    if found & _OF_SEALS:
        return _of_seals(found)
    if not found:
        if not verdict.rows:
            return "no rows"
        if not verdict.hashed:
            return "no figure contradicts another, and there are no hashes that would show a change"
        return "every row and every hash that is there holds"
    if _none_holds_to_the_end(verdict):
        other = "another key" if verdict.with_key else "a key that was not given"
        return (
            f"no hash from line {verdict.lost_from_line} on holds: the rows are chained with "
            f"{other}, or they are forged"
        )
    if "repeated" in found and found <= {"repeated", "run"}:
        return "rows are there twice: files with the same rows were joined"
    if found <= _OF_FIGURES:
        if not verdict.hashed:
            return "figures do not hold, and there are no hashes to tell whether they were altered"
        return (
            "the hashes hold but the figures do not: rows were forged together with their hashes, "
            "or eco2ai has a fault"
        )
    if found & _OF_CONTENT:
        return "the file was altered"
    if "moved" in found and "anew" not in found:
        return "the rows are intact, but not in their order: the file was sorted or merged"
    if "anew" in found:
        return "the rows are intact, but of several chains: files were joined, or rows removed"
    if "torn" in found:
        return "the rows that can be read hold; a line was torn, as a power cut does"
    return "the rows hold, but anybody can have written the last of them"


def _of_seals(found: set[str]) -> str:
    if "seal-key" in found:
        return "nothing in it can be opened: it is sealed with another key, or it was altered"
    if "seal" in found:
        return "the file was altered: some of its records are not as they were sealed"
    return "the file was altered: its records are genuine, but not all, or not in their order"


def _none_holds_to_the_end(verdict: Verdict) -> bool:
    """Tell whether more than one altered row is wrong: all from some row on, or all there are."""
    return verdict.lost_rows > 1 or verdict.lost_rows == verdict.hashed > 0


def sentence(file: str, fault: Fault) -> str:
    """Return where a fault is, what it is, and what should be there."""
    of_run = f" (run {fault.id})" if fault.id else ""
    column = f" `{fault.column}`" if fault.column else ""
    text = f"{file}:{fault.line}{of_run}:{column} {fault.why}"
    if fault.expected is not None:
        text += f": expected {fault.expected}, found {fault.found}"
    return text


def covered(verdict: Verdict) -> Iterator[str]:
    """Yield what was checked, and what was not."""
    if verdict.sealed_records is not None:
        yield f"{verdict.sealed_records} sealed records are as they were sealed"
        if not verdict.rows:
            return
    by_key = f", of which {verdict.keyed} by the key" if verdict.with_key else ""
    yield (
        f"{_rows(verdict.rows)}: {verdict.hashed} with a hash{by_key}; "
        f"{verdict.recomputed} recomputed from their components"
    )
    without = verdict.rows - verdict.hashed
    if without:
        yield f"{_rows(without)} without a hash, as those of eco2AI: nothing shows a change in them"
    if verdict.keyed and verdict.plain_rows:
        yield (
            f"the key is used from line {verdict.key_from_line} on; its first row vouches for "
            "the plain hashes before it"
        )


def unseen(verdict: Verdict) -> Iterator[str]:
    """Yield what the chain cannot show."""
    if not verdict.hashed:
        return
    yield "that rows were cut off at the end of the file"
    if not verdict.with_key:
        yield (
            "that the file was written anew as a whole, hashes and all; a key prevents that "
            "(`eco2ai config init --ledger-key`)"
        )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
