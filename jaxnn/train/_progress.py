"""What a user sees while ``fit`` runs: a bar, plain lines, or nothing."""

import contextlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

from jaxnn.core import printable


class Progress(Protocol):
    """What ``fit`` tells: pieces of an epoch as they end, and the epoch's record."""

    def advance(self, epoch: int, step: int, steps: int | None, shown: dict[str, Any], rate: float) -> None:
        """Show that ``step`` of ``steps`` (unknown if ``None``) are done at ``rate`` examples a second."""

    def finish(self, record: dict[str, Any]) -> None:
        """Show an epoch's record."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def make_progress(progress: bool | None, epochs: int) -> Progress:
    """Return the bar (``True``, or ``None`` on a terminal), plain lines (``None`` elsewhere) or nothing."""
    if progress is False or sys.stdout is None:
        return _Silent()
    return _Forgiving(lambda: _Bar(epochs) if progress or _is_terminal() else _Lines(epochs))


def _is_terminal() -> bool:
    """Whether standard output is a terminal; notebooks and services put objects of their own there."""
    asked = getattr(sys.stdout, "isatty", None)
    return bool(asked is not None and asked())


def format_record(record: dict[str, Any]) -> str:
    """Write a record's numbers: ``loss 0.2489  accuracy 0.9224  val_loss 0.1005``."""
    skipped = ("epoch", "seconds", "examples_per_second")
    numbers = ((k, v) for k, v in record.items() if k not in skipped and isinstance(v, float))
    return "  ".join(f"{name} {value:.4f}" for name, value in numbers)


def _line(record: dict[str, Any], epochs: int) -> str:
    width = len(str(epochs))
    speed = f"{record['seconds']:.2f} s  {record['examples_per_second']:,.0f} examples/s"
    return f"epoch {record['epoch']:>{width}}/{epochs}  {format_record(record)}  {speed}"


class _Silent:
    def advance(self, epoch: int, step: int, steps: int | None, shown: dict[str, Any], rate: float) -> None:
        del epoch, step, steps, shown, rate

    def finish(self, record: dict[str, Any]) -> None:
        del record

    def close(self) -> None:
        pass


class _Forgiving:
    """Shows what another shows until that fails: a run is worth more than a line about it.

    A pipe may be closed, a disk full, and what stands for standard output need not be a whole file.
    """

    def __init__(self, make: Callable[[], Progress]) -> None:
        self._shown: Progress = _Silent()
        self._try(lambda: setattr(self, "_shown", make()))

    def advance(self, epoch: int, step: int, steps: int | None, shown: dict[str, Any], rate: float) -> None:
        self._try(lambda: self._shown.advance(epoch, step, steps, shown, rate))

    def finish(self, record: dict[str, Any]) -> None:
        self._try(lambda: self._shown.finish(record))

    def close(self) -> None:
        self._try(lambda: self._shown.close())

    def _try(self, show: Callable[[], Any]) -> None:
        try:
            show()
        except Exception:
            failed, self._shown = self._shown, _Silent()
            with contextlib.suppress(Exception):
                failed.close()


class _Lines(_Silent):
    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def finish(self, record: dict[str, Any]) -> None:
        # Whatever can be written to will do; a file is flushed, so that a log is read as it grows.
        sys.stdout.write(printable(_line(record, self._epochs)) + "\n")
        flush = getattr(sys.stdout, "flush", None)
        if flush is not None:
            flush()


class _Bar:
    def __init__(self, epochs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._epochs = epochs
        self._epoch = 0
        self._bar = RichProgress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[rate]:,.0f} examples/s"),
            TimeRemainingColumn(compact=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, epoch=0, epochs=epochs, numbers="", rate=0.0)
        self._bar.start()

    def advance(self, epoch: int, step: int, steps: int | None, shown: dict[str, Any], rate: float) -> None:
        if epoch != self._epoch:
            self._bar.reset(self._task, total=steps)
            self._epoch = epoch
        self._bar.update(self._task, completed=step, epoch=epoch, numbers=format_record(shown), rate=rate)

    def finish(self, record: dict[str, Any]) -> None:
        self._bar.console.print(printable(_line(record, self._epochs)), highlight=False)

    def close(self) -> None:
        self._bar.stop()
