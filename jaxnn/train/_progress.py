"""What a user sees while ``fit`` runs: a bar, plain lines, or nothing."""

import sys
from typing import Any, Protocol


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
    if progress is False:
        return _Silent()
    if progress or sys.stdout.isatty():
        return _Bar(epochs)
    return _Lines(epochs)


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


class _Lines(_Silent):
    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def finish(self, record: dict[str, Any]) -> None:
        print(_line(record, self._epochs), flush=True)


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
        self._bar.console.print(_line(record, self._epochs), highlight=False)

    def close(self) -> None:
        self._bar.stop()
