"""What one process keeps over many runs: ``python -m benchmarks.memory_over_runs [CASE ...]``.

Each case runs in a process of its own and does one kind of thing again and again. After each round everything that
can be freed is freed, and what is left is written down: resident memory, arrays and compiled programs alive, threads,
open files. A library that keeps nothing of what is over has equal lines after the first one or two.
"""

import argparse
import ctypes
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np


def _task(model):
    from jaxnn import losses, metrics, train

    return train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))


def _perceptron(width: int = 64, brought: int = 0):
    import jax
    import jax.numpy as jnp

    import jaxnn as nn

    kept = jnp.ones(brought) if brought else None
    read = (lambda x: x) if kept is None else (lambda x: x + jnp.sum(kept).astype(x.dtype) * 0)
    return nn.chain(nn.dense(width), jax.nn.relu, nn.dropout(0.1), read, nn.dense(10))


def _data(n: int, features: int = 20):
    rng = np.random.default_rng(n)
    return rng.standard_normal((n, features), np.float32), rng.integers(0, 10, n).astype(np.int32)


def _fit(task, rule, data, **options):
    import jax

    from jaxnn import train

    options = {"epochs": 1, "batch_size": 32, "progress": False, **options}
    return train.fit(task, rule, data, key=jax.random.key(0), **options)


def fits_of_arrays() -> Callable[[int], object]:
    """200 fits of one model, with validation."""
    from jaxnn import optim

    task, rule, data = _task(_perceptron()), optim.adam(1e-3), _data(100)
    return lambda _: _fit(task, rule, data, validation=data)


def fits_of_batches() -> Callable[[int], object]:
    """The same on batches."""
    from jaxnn import optim

    task, rule = _task(_perceptron()), optim.adam(1e-3)
    batches = [_data(32), _data(16)]
    return lambda _: _fit(task, rule, batches, validation=batches)


def fresh_rules() -> Callable[[int], object]:
    """Fits of one model, each with an update rule of its own."""
    from jaxnn import optim

    task, data = _task(_perceptron()), _data(100)
    return lambda i: _fit(task, optim.adam(1e-3 / (1 + i)), data)


def models() -> Callable[[int], object]:
    """Models of a million parameters, and as many numbers in a closure: fit, predict, evaluate."""
    from jaxnn import optim, train

    data = _data(100, 1000)

    def one(_: int) -> None:
        model = _perceptron(1000, brought=1_000_000)
        task = _task(model)
        made = _fit(task, optim.adam(1e-3), data, validation=data, batch_size=64)
        train.predict(model, made.params, made.state, data[0])
        train.evaluate(task, made.params, made.state, data)
        train.evaluate(task, made.params, made.state, [data])

    return one


def decoders() -> Callable[[int], object]:
    """Decoders of a million parameters: generate, drawn and by beam search."""
    import jax
    import jax.numpy as jnp

    import jaxnn as nn

    def one(_: int) -> None:
        body = (nn.embedding(2000, 256), nn.transformer_block(2, causal=True), nn.dense(2000))
        cell = nn.decoding_cell(nn.chain(*body), 16)
        prompt = jnp.ones((2, 3), jnp.int32)
        params = cell.init(jax.random.key(0), prompt[:, 0])
        nn.generate(cell, params, prompt, 5, key=jax.random.key(1), temperature=1.0)
        nn.generate(cell, params, prompt, 5, beams=3)

    return one


def sizes() -> Callable[[int], object]:
    """Data of ever new sizes through one model: fit with validation, predict, evaluate."""
    from jaxnn import optim, train

    model = _perceptron()
    task, rule = _task(model), optim.adam(1e-3)

    def one(i: int) -> None:
        data = _data(101 + i)
        made = _fit(task, rule, data, validation=_data(51 + i))
        train.predict(model, made.params, made.state, data[0])
        train.evaluate(task, made.params, made.state, data)

    return one


def predictions() -> Callable[[int], object]:
    """``predict`` of one model."""
    import jax

    from jaxnn import train

    model, (x, _) = _perceptron(), _data(100)
    params, state = model.init(jax.random.key(0), x)
    return lambda _: train.predict(model, params, state, x)


def generations() -> Callable[[int], object]:
    """``generate`` of one model, prompts of ever new lengths now and then."""
    import jax
    import jax.numpy as jnp

    import jaxnn as nn

    model = nn.chain(nn.embedding(50, 16), nn.transformer_block(2, causal=True), nn.dense(50))
    cell = nn.decoding_cell(model, 300)
    params = cell.init(jax.random.key(0), jnp.ones(2, jnp.int32))
    return lambda i: nn.generate(cell, params, np.ones((2, 3 + i // 10), np.int32), 5)


def inspections() -> Callable[[int], object]:
    """What looks into a model, at a new one each time."""
    import jax

    from jaxnn import inspect, optim

    x, y = _data(64)

    def one(_: int) -> None:
        model = _perceptron(16, brought=1_000_000)
        task = _task(model)
        params, state = model.init(jax.random.key(0), x)
        inspect.summary(model, x)
        inspect.intermediates(model, params, state, x)
        inspect.lr_range(task, optim.sgd, (x, y), key=jax.random.key(0), steps=10)
        inspect.stability_limit(task, params, (x, y), state=state, iterations=4, tolerance=10.0)

    return one


def seeds() -> Callable[[int], object]:
    """``fit_many`` of a new model each time."""
    import jax
    import jax.numpy as jnp

    from jaxnn import optim, train

    data = jax.tree.map(jnp.asarray, _data(64))

    def one(_: int) -> None:
        task, rule = _task(_perceptron(16, brought=1_000_000)), optim.sgd(0.1)
        epoch = train.make_epoch(task, rule, 32, donate=False)

        def run(key, _hyper):
            return epoch(train.TrainState.create(task, rule, key, data), data)[1]["loss"].compute()

        train.fit_many(run, jax.random.split(jax.random.key(0), 2))

    return one


def checks() -> Callable[[int], object]:
    """``check_layer`` of a new layer each time."""
    import jax.numpy as jnp

    import jaxnn as nn
    from jaxnn.testing import check_layer

    return lambda _: check_layer(nn.dense(3), jnp.ones((2, 4)))


CASES: dict[str, tuple[Callable[[], Callable[[int], object]], int, int]] = {
    "fits_of_arrays": (fits_of_arrays, 5, 40),
    "fits_of_batches": (fits_of_batches, 5, 40),
    "fresh_rules": (fresh_rules, 5, 10),
    "models": (models, 6, 10),
    "decoders": (decoders, 6, 5),
    "sizes": (sizes, 5, 10),
    "predictions": (predictions, 5, 40),
    "generations": (generations, 5, 40),
    "inspections": (inspections, 5, 5),
    "seeds": (seeds, 5, 5),
    "checks": (checks, 4, 3),
}


def left() -> dict[str, float]:
    """Free what can be freed and count what stays."""
    import jax

    for _ in range(3):
        gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return {
        "MiB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "programs": len(jax.devices()[0].client.live_executables()),
        "arrays": len(jax.live_arrays()),
        "MiB of arrays": sum(array.nbytes for array in jax.live_arrays()) / 2**20,
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
    }


def measure(name: str, calls: int | None) -> None:
    """Run one case in this process and print a line a round."""
    make, rounds, usual = CASES[name]
    calls = calls or usual
    once = make()
    for number in range(rounds):
        for call in range(calls):
            once(number * calls + call)
        found = left()
        shown = "  ".join(f"{what} {value:.0f}" for what, value in found.items())
        print(f"{name:16} after {(number + 1) * calls:3}: {shown}", flush=True)


def main(arguments: list[str]) -> int:
    """Run the cases asked for, each in its own process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory_over_runs", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all, if none is named"
    )
    parser.add_argument("--here", action="store_true", help="run one case in this process")
    parser.add_argument("--calls", type=int, help="calls in a round (default: as many as the case has)")
    chosen = parser.parse_args(arguments)
    if chosen.here:
        measure(*chosen.cases, chosen.calls)
        return 0
    command = [sys.executable, "-m", "benchmarks.memory_over_runs", "--here"]
    command += ["--calls", str(chosen.calls)] if chosen.calls else []
    return max(subprocess.run([*command, name]).returncode for name in chosen.cases or CASES)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
