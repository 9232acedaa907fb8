"""The next batches, made ready by a thread while the device works on this one."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

from jaxnn.train._data import placed

_AHEAD = 2
_POLL_SECONDS = 0.1


class _Failure(NamedTuple):
    error: BaseException


def prefetched(batches: Iterable[Any]) -> Generator[Any]:
    """Yield the batches of ``batches``, placed on the device, up to two of them ahead of their use.

    A thread reads and places them: worker processes would have to be forked, which deadlocks beside the
    threads of JAX, or started anew, which pickles the data. An error of the reader is raised here, after the
    batches before it, as its own exception. When the generator is closed the thread ends, after the batch
    that it is reading.
    """
    ready: queue.Queue[Any] = queue.Queue(_AHEAD)
    end, closed = object(), threading.Event()

    def put(item: Any) -> bool:
        while not closed.is_set():
            try:
                ready.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for batch in batches:
                if not put(placed(batch)):
                    return
            put(end)
        except BaseException as error:  # carried to the thread that trains
            put(_Failure(error))

    reader = threading.Thread(target=read, name="jaxnn-prefetch", daemon=True)
    reader.start()
    try:
        while (item := ready.get()) is not end:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        closed.set()
        reader.join()
