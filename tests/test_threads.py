"""Training outside of the main thread, in several at once, inside a callback and in an event loop."""

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from training import KEY, RULE, TASK, X, Y, same_bits

from jaxnn import train

BATCHES = [(X[:8], Y[:8]), (X[8:13], Y[8:13])]
OTHER = X[::-1].copy(), Y[::-1].copy()


def fit(data: Any = (X, Y), **options: Any) -> train.Result:
    chosen = {"epochs": 2, "batch_size": 8, "key": KEY, "progress": False, **options}
    return train.fit(TASK, RULE, data, **chosen)


def in_thread(function: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("data", [(X, Y), BATCHES], ids=["arrays", "batches"])
def test_a_fit_in_another_thread_is_the_same(data) -> None:
    handler = signal.getsignal(signal.SIGINT)
    ours = in_thread(lambda: fit(data, validation=data))
    assert same_bits(ours.train_state, fit(data, validation=data).train_state)
    assert signal.getsignal(signal.SIGINT) is handler


def test_fits_of_one_objective_in_two_threads_at_once_are_those_alone() -> None:
    kinds = [(X, Y), OTHER, BATCHES, (X[:23], Y[:23])]
    alone = [fit(data, validation=(X, Y)) for data in kinds]
    for _ in range(3):
        start = threading.Barrier(len(kinds))

        def run(data: Any, start: Any = start) -> train.Result:
            start.wait()
            return fit(data, validation=(X, Y))

        with ThreadPoolExecutor(len(kinds)) as pool:
            together = list(pool.map(run, kinds))
        for ours, single in zip(together, alone, strict=True):
            assert same_bits(ours.train_state, single.train_state)
            assert ours.history["val_loss"] == single.history["val_loss"]


def test_bars_of_two_threads_do_not_stop_them() -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda data: fit(data, progress=True), [(X, Y), OTHER]))
    assert all(result.stopped is None for result in found)


@pytest.mark.parametrize("progress", [False, True])
def test_a_fit_inside_a_callback_of_a_fit(progress) -> None:
    inner = []

    def callback(record: dict[str, Any]) -> None:
        inner.append(fit(OTHER, progress=progress))

    outer = fit(callbacks=[callback], progress=progress)
    assert same_bits(outer.train_state, fit().train_state)
    assert len(inner) == 2
    assert all(same_bits(result.train_state, fit(OTHER).train_state) for result in inner)


def test_an_interrupt_heard_by_a_fit_inside_a_callback_stops_both() -> None:
    handler = signal.getsignal(signal.SIGINT)
    inner = []

    def callback(record: dict[str, Any]) -> None:
        inner.append(fit(OTHER, epochs=5, callbacks=[lambda record: os.kill(os.getpid(), signal.SIGINT)]))

    outer = fit(epochs=5, callbacks=[callback])
    assert [result.stopped for result in inner] == ["interrupted"]
    assert outer.stopped == "interrupted"
    assert len(outer.history.records) == 1
    assert signal.getsignal(signal.SIGINT) is handler


def test_fits_in_an_event_loop_and_in_its_threads() -> None:
    async def main() -> list[train.Result]:
        here = fit()
        there = await asyncio.gather(asyncio.to_thread(fit), asyncio.to_thread(fit, OTHER))
        return [here, *there]

    here, first, second = asyncio.run(main())
    assert same_bits(here.train_state, first.train_state)
    assert same_bits(second.train_state, fit(OTHER).train_state)


def test_an_interrupt_in_an_event_loop_stops_the_fit_and_the_loop_goes_on() -> None:
    async def main() -> tuple[train.Result, int]:
        result = fit(epochs=5, callbacks=[lambda record: os.kill(os.getpid(), signal.SIGINT)])
        await asyncio.sleep(0)
        return result, 7

    result, after = asyncio.run(main())
    assert (result.stopped, after) == ("interrupted", 7)


def test_a_handler_that_is_not_of_python_stays(monkeypatch) -> None:
    def refuse(_number: int, _handler: Any) -> None:
        raise AssertionError("a handler that can't be restored was replaced")

    monkeypatch.setattr(signal, "getsignal", lambda _number: None)
    monkeypatch.setattr(signal, "signal", refuse)
    assert fit(epochs=1).stopped is None


def test_threads_and_files_are_as_before() -> None:
    fit(validation=BATCHES)
    fit(BATCHES, validation=BATCHES, progress=True)
    before = threading.active_count(), descriptors()
    for _ in range(5):
        fit(validation=BATCHES)
        fit(BATCHES, validation=BATCHES, progress=True)
    # A thread that an earlier test left may end in between.
    assert threading.active_count() <= before[0]
    assert descriptors() <= before[1]
