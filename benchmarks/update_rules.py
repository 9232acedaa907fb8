"""Every update rule beside optax's: time of an update and of its compilation, on three trees.

    python benchmarks/update_rules.py --rules adam lamb --trees small
    python benchmarks/update_rules.py --tables docs/update_rules.md      # what has been measured so far

An update is ``optax.apply_updates(params, updates)`` with parameters and state donated. Both rules are
measured side by side in one process, in turns whose order alternates; quoted are medians and their ratio
(below 1: ours is faster). An update is timed by the clock, a compilation by the processor time that it takes,
which other work on the machine lengthens little. All rules on all trees take half an hour; each result is kept
in ``docs/update_rules.jsonl`` as it comes.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from jaxnn import optim

TREES = {
    "small": ("1000 leaves of 64", {f"w{i:04d}": (8, 8) for i in range(1000)}),
    "middling": ("300 leaves of 4096", {f"w{i:04d}": (64, 64) for i in range(300)}),
    "large": ("One leaf of 20 million", {"w": (20_000_000,)}),
}
PEERS = {
    "momentum": partial(optax.sgd, momentum=0.9),
    "nesterov": partial(optax.sgd, momentum=0.9, nesterov=True),
    "muon": optax.contrib.muon,
}
WRAPPERS = ("accumulate", "dynamic_loss_scale", "skip_nonfinite")
RULES = [name for name in optim.__all__ if name not in WRAPPERS]
RESULTS = Path(__file__).parent.parent / "docs" / "update_rules.jsonl"


class Contender:
    """One rule on one tree, compiled and timed."""

    def __init__(
        self, make: Callable[..., optax.GradientTransformation], shapes: dict[str, tuple[int, ...]]
    ) -> None:
        rule = make(1e-3)

        def step(params, state, gradients):
            updates, state = rule.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        self.params = {name: jnp.full(shape, 0.5) for name, shape in shapes.items()}
        self.gradients = {name: jnp.full(shape, 0.25) for name, shape in shapes.items()}
        self.state = jax.jit(rule.init)(self.params)
        self.step = jax.jit(step, donate_argnums=(0, 1))
        self.times: list[float] = []
        self.compilations: list[float] = []

    def compile(self) -> None:
        """Trace, lower and compile anew."""
        jax.clear_caches()
        start = time.process_time()
        self.compiled = self.step.lower(self.params, self.state, self.gradients).compile()
        self.compilations.append(time.process_time() - start)

    def run(self) -> None:
        """Make one update."""
        start = time.perf_counter()
        result = self.compiled(self.params, self.state, self.gradients)
        self.params, self.state = jax.block_until_ready(result)
        self.times.append(time.perf_counter() - start)


def compare(name: str, tree: str, updates: int, compilations: int) -> dict[str, object]:
    """Return the median seconds of an update and of a compilation, ours and optax's."""
    shapes = TREES[tree][1]
    peer = PEERS[name] if name in PEERS else getattr(optax, name)
    pair = [Contender(getattr(optim, name), shapes), Contender(peer, shapes)]
    for turn in range(compilations):
        for contender in pair[:: 1 if turn % 2 == 0 else -1]:
            contender.compile()
    for turn in range(updates + 2):
        for contender in pair[:: 1 if turn % 2 == 0 else -1]:
            contender.run()
    return {
        "rule": name,
        "tree": tree,
        "update": [statistics.median(contender.times[2:]) for contender in pair],
        "compilation": [statistics.median(contender.compilations) for contender in pair],
        "updates": updates,
        "compilations": compilations,
        "where": f"jax {jax.__version__}, optax {optax.__version__}, {jax.default_backend()}",
    }


def row(result: dict) -> str:
    """Return one line of a table."""
    cells = [result["rule"]]
    for key, unit in (("update", 1e3), ("compilation", 1.0)):
        ours, theirs = result[key]
        cells += [f"{ours * unit:.3g}", f"{theirs * unit:.3g}", f"{ours / theirs:.2f}"]
    return f"| {' | '.join(cells)} |"


def tables() -> str:
    """Return the tables of the newest results."""
    newest = {(r["tree"], r["rule"]): r for r in map(json.loads, RESULTS.read_text().splitlines())}
    lines = [
        "# Update rules beside optax's",
        "",
        "Made by `python benchmarks/update_rules.py`: an update by the clock, and a compilation (tracing, lowering",
        "and XLA) in processor time, of ours and of optax's rule in one process, turn by turn; medians. Parameters",
        "and state are donated. A ratio below 1 says that ours is faster. Other work ran on the machine meanwhile,",
        "which lengthens both: read the ratios, of which a tenth is noise. A rule that is missing below a tree has not",
        "been measured on it.",
        "",
        f"Where: {'; '.join(sorted({r['where'] for r in newest.values()}))}.",
    ]
    for tree, (title, _) in TREES.items():
        rows = [row(newest[tree, name]) for name in RULES if (tree, name) in newest]
        if rows:
            names = ("rule", "update, ms", "optax", "ratio", "compilation, s", "optax", "ratio")
            lines += ["", f"## {title}", "", f"| {' | '.join(names)} |", "|" + "---|" * len(names), *rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for, or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", nargs="+", default=RULES, choices=RULES)
    parser.add_argument("--trees", nargs="+", default=list(TREES), choices=list(TREES))
    parser.add_argument("--updates", type=int, default=40, help="updates of each rule")
    parser.add_argument("--compilations", type=int, default=3, help="compilations of each rule")
    parser.add_argument("--tables", type=Path, help="write the tables to this file and measure nothing")
    options = parser.parse_args()
    if options.tables:
        options.tables.write_text(tables())
        return
    for tree in options.trees:
        for name in options.rules:
            result = compare(name, tree, options.updates, options.compilations)
            print(f"{tree:9s}{row(result)}", flush=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
