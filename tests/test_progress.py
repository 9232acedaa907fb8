"""What is printed: on any standard output, whole or not, or on none."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from training import KEY, RULE, TASK, X, Y

from jaxnn import train
from jaxnn.core import printable


class Written:
    """No more of a file than what writes."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


class Broken(Written):
    """A pipe that nobody reads any more, after the first line."""

    def write(self, text: str) -> None:
        if self.text:
            raise BrokenPipeError("nobody reads")
        super().write(text)


class Unflushed(Written):
    def isatty(self) -> bool:
        raise ValueError("I/O operation on closed file")


class Terminal(Written):
    """Says that it is a terminal, and is not even a file."""

    def isatty(self) -> bool:
        return True


def closed() -> Any:
    stream = io.StringIO()
    stream.close()
    return stream


def encoded(encoding: str) -> Any:
    return io.TextIOWrapper(io.BytesIO(), encoding)


OUTPUTS = {
    "none": lambda: None,
    "an object": object,
    "written": Written,
    "broken": Broken,
    "unflushed": Unflushed,
    "terminal": Terminal,
    "closed": closed,
    "ascii": lambda: encoded("ascii"),
}


@pytest.mark.parametrize("progress", [None, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_training_needs_no_standard_output(
    name: str, progress: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = OUTPUTS[name]()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        result = train.fit(TASK, RULE, (X, Y), epochs=2, batch_size=8, key=KEY, progress=progress)
    assert len(result.history.records) == 2
    if progress is None and name in ("written", "ascii"):
        text = output.text if name == "written" else output.buffer.getvalue().decode()
        assert [line.split()[1] for line in text.splitlines()] == ["1/2", "2/2"]
    if progress is None and name == "broken":
        assert output.text.startswith("epoch 1/2")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "no such encoding"])
def test_text_is_shown_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Output:
        pass

    Output.encoding = encoding  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdout", Output())
    for text in ("loss 0.1", "─" * 9, "δ = ∂C/∂a ⊙ g'(z) → …", "слой", "\udcff"):
        shown = printable(text)
        assert shown.isascii() or shown == text
        shown.encode("ascii" if encoding.startswith("no") else encoding)
    assert printable("δ = ∂C/∂a ⊙ g'(z)") == "D = dC/da * g'(z)" or encoding == "cp437"


EVERYTHING = """
import jax, jax.numpy as jnp
import jaxnn as nn
from jaxnn import inspect, losses, train
model = nn.chain(nn.dense(2), jnp.tanh, nn.dense(2))
x = jnp.ones((1, 2))
def product(x, y):
    return x * y
print(inspect.summary(model, x))
params, state = model.init(jax.random.key(0), x)
print(inspect.backprop_trace(model, params, state, x, jnp.ones((1, 2)), losses.half_squared_error))
print(inspect.computation_graph(product, 2.0, 3.0))
print(train.fit_many(lambda key, hyper: jax.random.normal(key), jax.random.split(jax.random.key(0), 2)).table())
"""


def test_all_that_is_meant_to_be_printed_can_be_in_ascii() -> None:
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "JAX_PLATFORMS": "cpu", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for part in ("----", "Trainable params", "dC/dx", "dproduct/dnode", "+-"):
        assert part in done.stdout
