"""From a dataclass to a command line: tyro reads the values, and every mistake becomes one line.

tyro prints a box of eight lines for a mistake and takes the last of two contradicting options; here an
error is one line, with the closest option, and an option given twice is one.
"""

import contextlib
import dataclasses
import io
import re
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from experiments.runner.usage import UsageError, suggestion

T = TypeVar("T")


def parse(command: type[T], args: Sequence[str], name: str, description: str = "") -> T:
    """Make a ``command`` from what was typed after ``python -m experiments NAME``.

    Args:
        command: a dataclass, or a dataclass of dataclasses, whose fields are the options.
        args: the words typed.
        name: the experiment's or command's name, for the texts.
        description: what ``--help`` says first.

    Raises:
        UsageError: an option is unknown, given twice, without its value, or has a value that is none.
        SystemExit: with code 0, after ``--help``.
    """
    import tyro

    if not {"-h", "--help"} & set(args):
        _check_options(args, _options(command), name)
    errors, text = io.StringIO(), description.replace("``", "`")
    settings = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    program = f"python -m experiments {name}"
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(command, prog=program, args=list(args), description=text, config=settings)
    except SystemExit as stop:
        if not stop.code:
            raise
        message = _message(errors.getvalue(), _required(command))
        raise UsageError(f"{name}: {message}; see {program} --help") from None


def _options(command: Any) -> set[str]:
    """Every ``--option`` that the fields of a dataclass, and of the dataclasses in it, make."""
    hints = typing.get_type_hints(command)
    names: set[str] = set()
    for field in dataclasses.fields(command):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            names |= _options(kind)
        else:
            names.add(f"--{field.name.replace('_', '-')}")
            if kind is bool and field.default is True:
                names.add(f"--no-{field.name.replace('_', '-')}")
    return names


def _check_options(args: Sequence[str], known: set[str], name: str) -> None:
    seen: set[str] = set()
    for word in args:
        if not re.match(r"--?[a-zA-Z]", word):
            continue
        option = word.split("=", 1)[0]
        canonical = option.replace("_", "-")
        if canonical not in known:
            hint = suggestion(canonical, known)
            raise UsageError(f"{name} has no option {option!r}{hint or f'; it has {_listed(known)}'}")
        if canonical in seen:
            raise UsageError(f"option {option!r} is given twice; keep one")
        seen.add(canonical)


def _required(command: Any) -> list[str]:
    """The words that must be typed: fields without a default."""
    fields = dataclasses.fields(command)
    missing = dataclasses.MISSING
    return [f.name.upper() for f in fields if f.default is missing and not dataclasses.is_dataclass(f.type)]


def _listed(options: set[str]) -> str:
    return ", ".join(sorted(options)) or "none"


def _message(box: str, required: list[str]) -> str:
    """The first paragraph of a box that tyro prints, without the frame and its names for the parts.

    The frame is made of lines where the terminal's encoding has them, and of blanks and hyphens elsewhere.
    """
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    rules = [index for index, line in enumerate(lines) if re.fullmatch(r"[│ ]*[─-]{3,}[│ ]*", line)]
    framed = any(line.startswith("│") for line in lines)
    start, *rest = [0, *rules] if framed else rules or [0]
    end = rest[0] if rest else len(lines)
    words = [line.strip("│ ") for line in lines[start:end] if not line.startswith(("╭", "╰", "-"))]
    message = " ".join(words).strip().rstrip(".") or "not understood"
    if message.startswith("Missing from"):
        return f"expected {' '.join(required)}"
    message = re.sub(r"^Error parsing \w+: ", "", message)
    return re.sub(r"^Error parsing (--\S+): ", r"\1: ", message)
