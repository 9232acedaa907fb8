"""What each formulation of a primitive costs, beside ``lax``: ``python -m benchmarks.primitives --help``.

Every candidate is compiled once and then run in turn with the others (A B A B ...); the fastest rounds are
compared, which foreign load disturbs least. ``--place scan`` puts the work inside a compiled
loop, where XLA's CPU backend treats convolutions differently and where training steps live.

The dispatch in ``jaxnn/ops/_dispatch.py`` was tuned on the ``tuning`` grid and not on the ``holdout`` grid.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn import ops

_STEPS = 3  # of the loop, with --place scan

# (shape of x, shape of kernel or window, other arguments)
CONV = {
    "tuning": [
        ((128, 28, 28, 1), (3, 3, 1, 32), {}),
        ((128, 26, 26, 32), (3, 3, 32, 64), {}),
        ((128, 26, 26, 32), (3, 3, 32, 64), {"padding": "SAME"}),
        ((64, 32, 32, 3), (5, 5, 3, 32), {"padding": "SAME"}),
        ((64, 16, 16, 64), (3, 3, 64, 64), {}),
        ((128, 8, 8, 64), (3, 3, 64, 128), {}),
        ((128, 5, 5, 64), (3, 3, 64, 64), {}),
        ((32, 28, 28, 64), (1, 1, 64, 128), {}),
        ((32, 32, 32, 32), (3, 3, 32, 64), {"strides": 2, "padding": "SAME"}),
        ((32, 32, 32, 32), (1, 1, 32, 64), {"strides": 2}),
        ((32, 28, 28, 16), (3, 3, 16, 16), {"dilation": 2}),
        ((4, 24, 24, 6), (5, 5, 6, 16), {}),
        ((32, 128, 32), (5, 32, 64), {"padding": "CAUSAL"}),
        ((8, 12, 12, 12, 8), (3, 3, 3, 8, 16), {}),
        ((32, 28, 28, 32), (3, 3, 1, 32), {"groups": 32, "padding": "SAME"}),
        ((32, 28, 28, 32), (3, 3, 8, 32), {"groups": 4}),
        ((100, 32, 32, 3), (3, 3, 3, 24), {}),
        ((50, 24, 30, 20), (5, 3, 20, 40), {}),
        ((96, 14, 14, 48), (3, 3, 48, 96), {"padding": "SAME"}),
        ((16, 56, 56, 24), (3, 3, 24, 24), {"padding": "SAME"}),
        ((200, 7, 7, 96), (3, 3, 96, 48), {}),
        ((10, 40, 40, 12), (7, 7, 12, 20), {"strides": 2}),
        ((64, 10, 10, 16), (4, 4, 16, 32), {}),
        ((1, 64, 64, 16), (3, 3, 16, 32), {}),
        ((24, 20, 20, 100), (1, 1, 100, 50), {}),
        ((16, 48, 48, 20), (3, 3, 20, 30), {"dilation": 3, "padding": "SAME"}),
        ((20, 200, 24), (3, 24, 48), {"padding": "SAME"}),
        ((4, 10, 16, 16, 6), (3, 3, 3, 6, 20), {"padding": "SAME"}),
        ((16, 24, 24, 48), (5, 5, 1, 48), {"groups": 48}),
    ],
    "holdout": [
        ((80, 20, 20, 48), (3, 3, 48, 64), {}),
        ((40, 28, 28, 40), (3, 3, 40, 20), {"padding": "SAME"}),
        ((32, 15, 15, 12), (5, 5, 12, 48), {}),
        ((12, 64, 64, 3), (7, 7, 3, 32), {"strides": 2, "padding": "SAME"}),
        ((100, 12, 12, 80), (3, 3, 80, 80), {"padding": "SAME"}),
        ((6, 33, 29, 10), (3, 5, 10, 14), {}),
        ((20, 18, 18, 128), (1, 1, 128, 32), {}),
        ((24, 150, 40), (7, 40, 32), {}),
        ((16, 16, 16, 64), (3, 3, 16, 64), {"groups": 4, "padding": "SAME"}),
    ],
}
POOL = {
    "tuning": [
        ((128, 24, 24, 64), (2, 2), {}),
        ((128, 24, 24, 64), (3, 3), {"strides": 2}),
        ((64, 32, 32, 32), (3, 3), {"strides": 2, "padding": "SAME"}),
        ((64, 16, 16, 32), (3, 3), {"strides": 1, "padding": "SAME"}),
        ((32, 28, 28, 16), (5, 5), {"strides": 1}),
        ((32, 28, 28, 16), (7, 7), {}),
        ((64, 7, 7, 64), (7, 7), {}),
        ((64, 32, 32, 16), (4, 4), {}),
        ((64, 100, 16), (4,), {}),
        ((8, 12, 12, 12, 16), (2, 2, 2), {}),
    ],
    "holdout": [
        ((96, 20, 20, 48), (2, 2), {}),
        ((40, 30, 22, 24), (3, 2), {"strides": (2, 2), "padding": "SAME"}),
        ((16, 40, 40, 8), (4, 4), {"strides": 2}),
        ((50, 9, 9, 100), (3, 3), {}),
        ((10, 300, 20), (3,), {"strides": 1, "padding": "SAME"}),
        ((4, 16, 16, 16, 6), (2, 2, 2), {}),
        ((1, 64, 64, 12), (2, 2), {}),
        ((20, 24, 24, 10), (6, 6), {}),
    ],
}
DROPOUT = {
    "tuning": [((128, 512), (), {}), ((128, 1024), (), {})],
    "holdout": [((64, 1000), (), {}), ((32, 28, 28, 32), (), {})],
}


def _flax_dropout(key: jax.Array, x: jax.Array, rate: float) -> jax.Array:
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def _programs(primitive: str, shape: Any, window: Any, arguments: dict) -> tuple[dict[str, Callable], tuple]:
    """Candidates by name, and the arrays to call them with; the last candidate is the yardstick."""
    key = jax.random.key(0)
    x = jax.random.normal(key, shape)
    if primitive == "dropout":
        return {
            "ops": lambda x: ops.dropout(key, x, 0.2),
            "bernoulli": lambda x: _flax_dropout(key, x, 0.2),
        }, (x,)
    function = getattr(ops, primitive)
    if primitive == "conv":
        arrays = (x, 0.1 * jax.random.normal(key, window))
        by_lax = partial(function, formulation="lax", **arguments)
        return {"ops": partial(function, **arguments), "lax": by_lax}, arrays
    return {
        "ops": lambda x: function(x, window, **arguments),
        "lax": lambda x: function(x, window, formulation="lax", **arguments),
    }, (x,)


def _work(program: Callable, arrays: tuple, what: str, place: str) -> Callable:
    """One execution of the forward pass, or of the forward and backward pass, as a compiled function."""

    def once(*arrays: jax.Array) -> Any:
        if what == "forward":
            return program(*arrays)
        # A cotangent that depends on the output: nothing of the forward pass can be left out.
        every = tuple(range(len(arrays)))
        return jax.grad(lambda *a: 0.5 * jnp.sum(jnp.square(program(*a))), argnums=every)(*arrays)

    if place == "alone":
        return jax.jit(once)

    def body(carry: tuple, _: None) -> tuple[tuple, None]:
        results = jax.tree.leaves(once(*carry))
        # The next round depends on every entry of this one: nothing is hoisted out of the loop or dropped.
        nudge = sum(jnp.sum(r) for r in results) * 1e-30
        return tuple(a + nudge for a in carry), None

    return jax.jit(lambda *arrays: lax.scan(body, arrays, None, length=_STEPS)[0])


def measure(primitive: str, case: tuple, what: str, place: str, rounds: int) -> dict:
    """Milliseconds of each candidate at its fastest, and the yardstick's time over that of ``ops``."""
    shape, window, arguments = case
    programs, arrays = _programs(primitive, shape, window, arguments)
    compiled = {name: _work(program, arrays, what, place) for name, program in programs.items()}
    times: dict[str, list[float]] = {name: [] for name in compiled}
    for run in compiled.values():
        jax.block_until_ready(run(*arrays))
    for _ in range(rounds):
        for name, run in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(run(*arrays))
            times[name].append(1e3 * (time.perf_counter() - start))
    steps = _STEPS if place == "scan" else 1
    fastest = {name: min(values) / steps for name, values in times.items()}
    yardstick = list(fastest)[-1]
    return {
        "primitive": primitive,
        "shape": shape,
        "window": window,
        "arguments": arguments,
        "what": what,
        "place": place,
        "yardstick": yardstick,
        "milliseconds": fastest,
        "ratio": fastest[yardstick] / fastest["ops"],
    }


def _row(result: dict) -> str:
    arguments = " ".join(f"{name}={value}" for name, value in result["arguments"].items())
    ops_ms, other_ms = result["milliseconds"]["ops"], result["milliseconds"][result["yardstick"]]
    return (
        f"| {result['primitive']} | {result['shape']} | {result['window']} {arguments} | {result['what']} | "
        f"{other_ms:.2f} | {ops_ms:.2f} | {result['ratio']:.2f} |"
    )


def main() -> None:
    """Measure a grid, print the table and, with ``--json``, write the numbers."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--grid", choices=("tuning", "holdout"), default="tuning")
    parser.add_argument("--primitive", choices=("conv", "max_pool", "avg_pool", "dropout"), action="append")
    parser.add_argument("--what", choices=("forward", "gradient"), action="append")
    parser.add_argument("--place", choices=("alone", "scan"), default="alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    grids = {"conv": CONV, "max_pool": POOL, "avg_pool": POOL, "dropout": DROPOUT}
    print(f"{options.grid} grid, {options.place}, jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print("| primitive | x | window | what | lax, ms | ops, ms | ratio |\n|---|---|---|---|---|---|---|")
    results = []
    for primitive in options.primitive or grids:
        for case in grids[primitive][options.grid]:
            for what in options.what or ("forward", "gradient"):
                results.append(measure(primitive, case, what, options.place, options.rounds))
                print(_row(results[-1]), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
