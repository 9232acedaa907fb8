"""What is typed at the command line: errors, the name that was meant, the command that gives a run again."""

import difflib
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any


class UsageError(Exception):
    """A command that cannot be carried out as typed; its text is one line that says what to type instead."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'mnist_mlp'?"`` for the closest known word, or nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def typed(experiment: Any, config: Any) -> str:
    """The command that gives a run again: the options that differ from the defaults."""
    words = ["python -m experiments", experiment.name]
    defaults = asdict(experiment.config())
    for name, value in asdict(config).items():
        if value != defaults[name]:
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, bool):
                words.append(option if value else f"--no-{option[2:]}")
            else:
                words.append(f"{option} {shlex.quote(str(value))}")
    return " ".join(words)
