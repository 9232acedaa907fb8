"""What each formulation of attention costs, alone and with its gradient: ``python -m benchmarks.attention``.

Every candidate is compiled once and then run in turn with the others (A B A B ...); medians are compared.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from jaxnn import ops

# batch, queries, keys, heads, kv_heads, head_dim, causal
SHAPES = {
    "tuning": [(16, 128, 128, 8, 8, 32, True)],
    "holdout": [
        (16, 128, 128, 8, 8, 32, False),
        (8, 256, 256, 8, 8, 64, True),
        (2, 1024, 1024, 8, 8, 64, True),
        (8, 256, 256, 12, 4, 64, True),
        (16, 96, 160, 4, 4, 64, False),
        (64, 32, 32, 4, 4, 16, False),
        (16, 1, 512, 8, 8, 64, False),
    ],
}
FORMULATIONS = ("rows", "lax", "fused")


def _with_gradient(attend: Callable[..., Any]) -> Callable[..., Any]:
    def run(q: Any, k: Any, v: Any, cotangent: Any) -> Any:
        y, back = jax.vjp(attend, q, k, v)
        return y, back(cotangent)

    return run


def measure(shape: tuple[Any, ...], rounds: int) -> dict[str, float]:
    """Milliseconds of each formulation at one shape, forward and with the gradient."""
    batch, queries, keys, heads, kv_heads, width, causal = shape
    draw = jax.random.split(jax.random.key(0), 4)
    q, cotangent = (jax.random.normal(k, (batch, queries, heads, width)) for k in draw[:2])
    k, v = (jax.random.normal(k, (batch, keys, kv_heads, width)) for k in draw[2:])
    candidates = {}
    for name in FORMULATIONS:
        attend = partial(ops.attention, causal=causal, formulation=name)
        candidates[name] = jax.jit(lambda q, k, v, cotangent, f=attend: f(q, k, v))
        candidates[f"{name}, gradient"] = jax.jit(_with_gradient(attend))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            began = time.perf_counter()
            jax.block_until_ready(run(q, k, v, cotangent))
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: 1e3 * statistics.median(laps) for name, laps in times.items()}


def main() -> None:
    """Print one line of Markdown for each shape."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--grid", choices=list(SHAPES), default="holdout")
    parser.add_argument("--rounds", type=int, default=11)
    chosen = parser.parse_args()
    columns = [f"{name}{part}" for part in ("", ", gradient") for name in FORMULATIONS]
    print(f"| batch, queries, keys, heads, kv_heads, head_dim, causal | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for shape in SHAPES[chosen.grid]:
        found = measure(shape, chosen.rounds)
        print(f"| {json.dumps(shape)[1:-1]} | {' | '.join(f'{found[c]:.2f}' for c in columns)} |", flush=True)


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    main()
