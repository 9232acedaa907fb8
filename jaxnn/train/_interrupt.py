"""Ctrl-C between two pieces of compiled work, so that nothing is lost."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """While entered, the first Ctrl-C sets ``requested``; the second raises ``KeyboardInterrupt``.

    An exception thrown into a call that has consumed (donated) its input would lose the weights.
    Signals reach the main thread only; in another this does nothing. The former handler is restored on
    leaving; a process that ignores the signal, as one in the background does, goes on ignoring it.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
