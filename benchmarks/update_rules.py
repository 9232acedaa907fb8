"""Every update rule beside optax's: time of an update and of its compilation, on three trees.

    python benchmarks/update_rules.py                      # all rules on all trees, about twenty minutes on two cores
    python benchmarks/update_rules.py --rules adam lamb --trees small --markdown docs/update_rules.md

An update is ``optax.apply_updates(params, updates)`` with parameters and state donated. Both rules are measured side by side in
one process, in turns whose order alternates; quoted are medians, and their ratio (below 1: ours is faster).
"""

import argparse
import platform
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from jaxnn import optim

TREES = {
    "small": ("1000 leaves of 64", lambda: {f"w{i:04d}": (8, 8) for i in range(1000)}),
    "middling": ("300 leaves of 4096", lambda: {f"w{i:04d}": (64, 64) for i in range(300)}),
    "large": ("one leaf of 20 million", lambda: {"w": (20_000_000,)}),
}
PEERS = {
    "momentum": partial(optax.sgd, momentum=0.9),
    "nesterov": partial(optax.sgd, momentum=0.9, nesterov=True),
    "muon": optax.contrib.muon,
}
RULES = [name for name in optim.__all__ if name not in ("accumulate", "skip_nonfinite")]


class Contender:
    """One rule on one tree: compiled once, then timed an update at a time."""

    def __init__(self, rule: optax.GradientTransformation, shapes: dict[str, tuple[int, ...]]) -> None:
        def step(params, state, gradients):
            updates, state = rule.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        self.params = {name: jnp.full(shape, 0.5) for name, shape in shapes.items()}
        self.gradients = {name: jnp.full(shape, 0.25) for name, shape in shapes.items()}
        self.state = jax.jit(rule.init)(self.params)
        self.step = jax.jit(step, donate_argnums=(0, 1))
        self.times: list[float] = []

    def compile(self) -> float:
        """Trace, lower and compile anew, and return the seconds it took."""
        jax.clear_caches()
        start = time.perf_counter()
        self.step.lower(self.params, self.state, self.gradients).compile()
        return time.perf_counter() - start

    def run(self, record: bool = True) -> None:
        """Make one update."""
        start = time.perf_counter()
        self.params, self.state = jax.block_until_ready(self.step(self.params, self.state, self.gradients))
        if record:
            self.times.append(time.perf_counter() - start)


def compare(name: str, tree: str, repeats: int, compiles: int) -> tuple[float, float, float, float]:
    """Return the median seconds of an update, ours and optax's, and of a compilation, ours and optax's."""
    shapes = TREES[tree][1]()
    pair = [
        Contender(getattr(optim, name)(1e-3), shapes),
        Contender(PEERS.get(name, getattr(optax, name, None))(1e-3), shapes),
    ]
    taken: list[list[float]] = [[], []]
    for turn in range(compiles):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            taken[which].append(pair[which].compile())
    for contender in pair:
        contender.run(record=False)
    for turn in range(repeats):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            pair[which].run()
    ours, theirs = (statistics.median(contender.times) for contender in pair)
    return ours, theirs, *map(statistics.median, taken)


def main() -> None:
    """Measure, print a line for each pair, and write the tables if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", nargs="+", default=RULES, choices=RULES)
    parser.add_argument("--trees", nargs="+", default=list(TREES), choices=list(TREES))
    parser.add_argument("--repeats", type=int, default=40, help="updates of each rule")
    parser.add_argument("--compiles", type=int, default=2, help="compilations of each rule")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    options = parser.parse_args()

    lines = [
        f"jax {jax.__version__}, optax {optax.__version__}, {jax.devices()[0].device_kind}, "
        f"{platform.machine()}, {jax.default_backend()}; {options.repeats} updates, {options.compiles} compilations.",
    ]
    for tree in options.trees:
        lines += ["", f"### {TREES[tree][0]}", ""]
        lines += [
            "| rule | ours, ms | optax, ms | ratio | compile ours, s | compile optax, s | ratio |",
            "|" + "---|" * 7,
        ]
        for name in options.rules:
            ours, theirs, compile_ours, compile_theirs = compare(
                name, tree, options.repeats, options.compiles
            )
            lines.append(
                f"| {name} | {ours * 1e3:.3g} | {theirs * 1e3:.3g} | {ours / theirs:.2f} "
                f"| {compile_ours:.3g} | {compile_theirs:.3g} | {compile_ours / compile_theirs:.2f} |"
            )
            print(f"{tree:9s} {lines[-1]}", flush=True)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
