"""``python -m experiments``: list, run, predict, translate, all, results; and the exit codes.

0 success, 1 a run failed, 2 the command was not understood, 130 interrupted. An error is a line or two on the
standard error stream; ``--debug`` adds the traceback.
"""

import sys
from collections.abc import Sequence

from experiments.runner import catalogue
from experiments.runner.usage import UsageError

INTERRUPTED = 130
HIDDEN_FRAMES = "JAX has removed its internal frames"  # a note about the traceback, which is not shown


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        argv: the words after ``python -m experiments``; those of this process when left out.

    Returns:
        The exit code.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(args)
    except UsageError as error:
        if "--debug" in args:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what had been written stays in the run folder", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # the end of the line for every error: told in a line, or raised on request
        if "--debug" in args:
            raise
        print(f"error: {in_short(error)}", file=sys.stderr)
        return 1


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "list"):
        catalogue.show()
        return 0
    name, rest = args[0], args[1:]
    try:
        if name == "predict":
            from experiments.runner.predict import command
        elif name == "translate":
            from experiments.runner.translate import command
        elif name == "all":
            from experiments.runner.run_all import command
        elif name == "results":
            from experiments.runner.results import command
        elif name.startswith("-"):
            raise UsageError(
                f"expected the name of an experiment before {name!r}; python -m experiments lists them"
            )
        else:
            chosen = catalogue.experiment(name)
            from experiments.runner.run import command as run_command

            return run_command(chosen, rest)
        return command(rest)
    except SystemExit as stop:
        return int(stop.code or 0)


def in_short(error: Exception) -> str:
    """The error as a line or two: its text, its notes, and where to find more when it may be a defect."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()][:2]
    notes = (note.strip() for note in getattr(error, "__notes__", ()))
    lines += [note for note in notes if note and HIDDEN_FRAMES not in note]
    told = isinstance(error, (OSError, ValueError, TypeError))
    return " ".join(lines) + ("" if told else f" ({type(error).__name__}; --debug shows the traceback)")
