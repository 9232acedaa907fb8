"""Batches read while the device works, in the caller's own thread, and Ctrl-C while a reader blocks."""

import contextlib
import contextvars
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train

TASK = train.supervised(nn.dense(1), losses.squared_error)
RATE = optim.sgd(0.1)
KEY = jax.random.key(0)
BATCH = np.ones((2, 3)), np.ones((2, 1))


class Reader:
    """Batches as a function of nothing makes them, afresh in each epoch."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Any]:
        return self.make()


def test_the_device_works_while_the_next_batch_is_read() -> None:
    def evaluate(params, state, batch, *, key=None, train=False):
        y = jax.lax.fori_loop(0, 20, lambda _, y: jnp.tanh(y @ params["w"]), batch)
        return terms(y.mean(1)), state

    terms = train.Terms
    task = train.Objective(lambda key, batch: ({"w": jnp.eye(256)}, {}), evaluate)
    x = np.ones((256, 256), np.float32)
    before = train.fit(task, RATE, [x] * 2, epochs=1, key=KEY, progress=False)
    began = time.perf_counter()
    train.fit(task, RATE, [x] * 4, epochs=1, key=KEY, train_state=before.train_state, progress=False)
    step = (time.perf_counter() - began) / 4
    away = []

    def batches():
        for _ in range(4):
            time.sleep(max(0.5, 2 * step))  # longer than the loop goes without a look at the loss
            left = time.perf_counter()
            yield x
            away.append(time.perf_counter() - left)

    train.fit(task, RATE, batches(), epochs=1, key=KEY, train_state=before.train_state, progress=False)
    # The first time away is that of preparing.
    assert min(away[1:]) < step / 2


def test_an_error_of_the_reader_is_its_own() -> None:
    def broken():
        yield BATCH
        yield BATCH
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        train.fit(TASK, RATE, broken(), epochs=1, key=KEY, progress=False)


VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")
LOCAL = threading.local()


@contextlib.contextmanager
def variable_set():
    token = VARIABLE.set("inside")
    yield
    VARIABLE.reset(token)


@contextlib.contextmanager
def local_set():
    LOCAL.value = "inside"
    yield
    del LOCAL.value


CONTEXTS = {
    "none": contextlib.nullcontext,
    "64 bits": lambda: jax.enable_x64(True),
    "matmul": lambda: jax.default_matmul_precision("highest"),
    "promotion": lambda: jax.numpy_dtype_promotion("standard"),
    "ranks": lambda: jax.numpy_rank_promotion("allow"),
    "keys": lambda: jax.default_prng_impl("rbg"),
    "mesh": lambda: jax.set_mesh(jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))),
    "variable": variable_set,
    "thread": local_set,
}


def surroundings() -> tuple[Any, ...]:
    return (
        jnp.zeros(1).dtype,
        jnp.asarray(np.zeros(1)).dtype,
        jax.config.jax_default_matmul_precision,
        jax.config.jax_numpy_dtype_promotion,
        jax.config.jax_numpy_rank_promotion,
        str(jax.random.key_impl(jax.random.key(0))),
        jax.sharding.get_abstract_mesh(),
        VARIABLE.get(),
        getattr(LOCAL, "value", None),
    )


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_reader_stands_in_the_contexts_of_its_caller(name: str) -> None:
    found = []

    def batches():
        found.append(surroundings())
        yield BATCH

    with CONTEXTS[name]():
        expected = surroundings()
        key = jax.random.key(0)
        task = train.supervised(nn.dense(1, param_dtype=expected[1]), losses.squared_error)
        data = Reader(batches)
        options: dict[str, Any] = {"epochs": 1, "key": key, "batch_size": 2, "progress": False}
        read = train.fit(task, RATE, data, validation=data, **options)
        whole = train.fit(task, RATE, BATCH, shuffle=False, validation=BATCH, **options)
        train.evaluate(task, read.params, read.state, data)
    assert len(found) == 4  # the first batch, the epoch, its validation, the evaluation
    assert set(found) == {expected}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), read.params, whole.params)
    assert {leaf.dtype for leaf in jax.tree.leaves(read.params)} == {expected[1]}
    assert read.history["val_loss"] == pytest.approx(whole.history["val_loss"], rel=1e-6)


TWO_DEVICES = """
import jax, numpy as np
import jaxnn as nn
from jaxnn import losses, optim, train
task = train.supervised(nn.dense(1), losses.squared_error)
batch = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
other = jax.devices()[1]
seen = []
def batches():
    seen.append(jax.numpy.zeros(1).devices())
    yield batch
for data in ([batch], batch, batches()):
    with jax.default_device(other):
        result = train.fit(task, optim.sgd(0.1), data, epochs=1, batch_size=2, key=jax.random.key(0),
                           progress=False, validation=[batch])
    assert all(leaf.devices() == {other} for leaf in jax.tree.leaves(result.params)), result.params
assert seen == [{other}], seen
print("right")
"""


def run(program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "JAX_PLATFORMS": "cpu", **environment}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_batches_go_to_the_default_device_of_the_caller() -> None:
    with run(TWO_DEVICES, JAX_NUM_CPU_DEVICES="2") as process:
        output, _ = process.communicate(timeout=300)
    assert output.strip() == "right"


def sleeping(_: Path) -> None:
    time.sleep(600)


def waiting(_: Path) -> None:
    queue.Queue().get()


def fifo(folder: Path) -> None:
    path = folder / "fifo"
    if not path.exists():
        os.mkfifo(path)
    path.read_bytes()  # nobody ever writes


def busy(_: Path) -> None:
    end = time.monotonic() + 600
    while time.monotonic() < end:
        pass


def interrupted_soon() -> list[float]:
    """Have Ctrl-C sent in a moment; its time is in what is returned."""
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, send)
    timer.daemon = True
    timer.start()
    return sent


@pytest.mark.parametrize(
    ("where", "block"),
    [
        *(("data", block) for block in (sleeping, waiting, fifo, busy)),
        ("first of an epoch", sleeping),
        ("validation", sleeping),
    ],
)
def test_ctrl_c_stops_a_run_whose_reader_never_returns(
    where: str, block: Callable[[Path], None], tmp_path: Path
) -> None:
    starts, sent = [], []

    def batches():
        starts.append(None)
        if where == "first of an epoch" and len(starts) == 3:
            sent.append(interrupted_soon())
            block(tmp_path)
        yield BATCH
        if where != "first of an epoch":
            sent.append(interrupted_soon())
            block(tmp_path)
        yield BATCH

    before = signal.getsignal(signal.SIGINT)
    options: dict[str, Any] = {"epochs": 2, "key": KEY, "progress": False}
    if where == "validation":
        options["validation"] = Reader(batches)
        result = train.fit(TASK, RATE, [BATCH, BATCH], **options)
    else:
        result = train.fit(TASK, RATE, Reader(batches), **options)
    assert time.monotonic() - sent[0][0] < 20  # half a minute is a sleep that went on; a second is usual
    assert result.stopped == "interrupted"
    assert int(result.train_state.step) == {"data": 1}.get(where, 2)
    assert len(result.history.records) == 1
    assert "val_loss" not in result.history
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_anything_was_trained_gives_the_parameters_of_the_start() -> None:
    starts = []

    def batches():
        starts.append(None)
        if len(starts) == 2:
            interrupted_soon()
            sleeping(Path())
        yield BATCH

    result = train.fit(TASK, RATE, Reader(batches), epochs=2, key=KEY, progress=False)
    assert result.stopped == "interrupted"
    assert not result.history.records
    assert int(result.train_state.step) == 0


STUBBORN = """
import sys, time, jax, numpy as np
import jaxnn as nn
from jaxnn import losses, optim, train
task = train.supervised(nn.dense(1), losses.squared_error)
batch = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
def stubborn():
    yield batch
    try:
        print("blocked", flush=True)
        time.sleep(600)
    finally:
        print("cleaning up", flush=True)
        time.sleep(600)
try:
    train.fit(task, optim.sgd(0.1), stubborn(), epochs=1, key=jax.random.key(0), progress=False)
except KeyboardInterrupt:
    print("left")
"""


def test_the_second_ctrl_c_leaves_a_reader_that_does_not_hear_the_first() -> None:
    with run(STUBBORN) as process:
        assert process.stdout is not None
        for line in ("blocked", "cleaning up"):
            assert process.stdout.readline().strip() == line
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
        assert process.stdout.read().strip() == "left"
        assert process.wait(timeout=60) == 0


def counted_task(counts: list[int]) -> train.Objective:
    def loss(outputs, targets):
        counts.append(1)
        return losses.squared_error(outputs, targets)

    return train.supervised(nn.dense(1), loss)


@pytest.mark.parametrize("batched", [False, True])
def test_a_second_fit_traces_nothing_for_training(batched: bool) -> None:
    counts: list[int] = []
    task, rule = counted_task(counts), optim.sgd(0.1)
    x = jax.random.normal(jax.random.key(0), (12, 2))
    y = x @ jnp.ones((2, 1))
    data = [(x[:6], y[:6]), (x[6:], y[6:])] if batched else (x, y)
    traced = []
    for seed in range(3):
        counts.clear()
        train.fit(task, rule, data, epochs=2, batch_size=6, key=jax.random.key(seed), progress=False)
        traced.append(len(counts))
    # What remains are shapes: the rehearsal, and the spec of the record.
    assert traced[1] == traced[2] <= traced[0] - 1


def test_batches_and_arrays_train_alike() -> None:
    x = jax.random.normal(jax.random.key(0), (12, 2))
    y = x @ jnp.ones((2, 1))
    task, rule = train.supervised(nn.dense(1), losses.squared_error), optim.adam(0.1)
    key = jax.random.key(1)
    one = train.fit(task, rule, (x, y), epochs=2, batch_size=6, key=key, progress=False, shuffle=False)
    batches = [(x[:6], y[:6]), (x[6:], y[6:])]
    other = train.fit(task, rule, batches, epochs=2, key=key, progress=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one.params, other.params)
