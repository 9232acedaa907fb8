"""Ctrl-C between two pieces of compiled work, so that nothing is lost."""

import signal
import threading
from collections.abc import Generator, Iterable
from types import FrameType, TracebackType
from typing import Any, Self


class InterruptedReadingError(Exception):
    """Ctrl-C was heard while the next batch was being read."""


class Interrupt:
    """While entered, the first Ctrl-C sets ``requested``; the second raises ``KeyboardInterrupt``.

    An exception thrown into a call that has consumed (donated) its input would lose the weights.
    Signals reach the main thread only; in another this does nothing. The former handler is restored on
    leaving; a process that ignores the signal, as one in the background does, goes on ignoring it, and a
    handler that is not Python's, which couldn't be restored, stays. Entered inside another, as by a ``fit``
    in a callback of ``fit``, it tells that one what it has heard.
    """

    def __init__(self) -> None:
        self.requested = False
        self._again = False
        self._reading = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._again = self.requested
        self.requested = True
        if self._again or self._reading:
            raise KeyboardInterrupt

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            outer = getattr(self._previous, "__self__", None)
            if self.requested and isinstance(outer, Interrupt):
                outer.requested = True

    def read(self, batches: Iterable[Any]) -> Generator[Any]:
        """Yield the batches, read in the caller's thread, until Ctrl-C.

        The first Ctrl-C is thrown into a reader at work, which may never return by itself; no weights are
        on their way then. A thread of its own would not see the configuration of JAX that the caller has
        entered, its context variables, or what belongs to its thread, and could not be stopped. The device
        works on while this one reads, since compiled calls return before their results are there.

        Raises:
            InterruptedReadingError: Ctrl-C was heard before the next batch had been read.
        """
        iterator = None
        while True:
            if self.requested:
                raise InterruptedReadingError
            try:
                try:
                    self._reading = True
                    iterator = iter(batches) if iterator is None else iterator
                    batch = next(iterator)
                finally:
                    self._reading = False
            except StopIteration:
                return
            except KeyboardInterrupt:
                # A signal may come when `finally` has begun and not yet done its work.
                self._reading = False
                if self._again or not self.requested:
                    raise
                raise InterruptedReadingError from None
            yield batch
