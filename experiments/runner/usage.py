"""Errors of the person at the command line, and the name that they probably meant."""

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """A command that cannot be carried out as typed; its text is one line that says what to type instead."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'mnist_mlp'?"`` for the closest known word, or nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
