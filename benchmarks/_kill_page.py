"""The kill table as a page of Markdown."""

from typing import Any

_HEAD = """# The kill table

What a gradient checker is worth is what it catches. Each row is a realistic bug beside working code; each was
checked by one call of `jaxnn.testing` with the same declarations for the broken and for the working variant.
The rows marked *shipped* are one-line changes of this package's own source.

- **killed by**: the check that was meant to catch the bug, and did, and how many others did too.
- **no oracle**: whether the call catches it without a NumPy oracle. A wrong forward pass agrees with its own
  gradient, so some bugs need one.
- **check_grads**: `jax.test_util.check_grads(f, args, order=1)` in float32, in reverse mode alone where a
  `custom_vjp` has no forward mode.
- **chex**: `chex.assert_numerical_grads(f, leaves, order=1)`, likewise.
- **torch gradcheck**: `torch.autograd.gradcheck` in float64, driving the same JAX function through a
  `torch.autograd.Function`, on the first 256 entries of inputs of 4096.

Peers run with their default tolerances. *false alarm*: the peer refuses the working variant as well; *cannot
run*: it raises on the working variant; n/a: there is no function of floating arrays to differentiate. Bugs of
values, state, keys or dtypes lie outside what a gradient checker claims to see; their rows are here because
they break training all the same.

The page is written by `python -m benchmarks.kill_table`.
"""


def page(rows: list[dict[str, Any]], seeds: dict[str, dict[str, int]]) -> str:
    """The page for measured rows and the tallies of seeds on originals."""
    peers = list(rows[0]["peers"]) if rows else []
    killed = sum(row["as declared"] for row in rows)
    bare = sum(bool(row["without oracle"]) for row in rows)
    refused = sum(bool(row["false alarm"]) for row in rows)
    unsure = sum(row["inconclusive"] for row in rows)
    total = sum(row["verdicts"] for row in rows)
    lines = [_HEAD, "## Totals", "", "| | killed | of | false alarms on the originals |", "|---|---|---|---|"]
    lines.append(f"| jaxnn.testing | {killed} | {len(rows)} | {refused} |")
    lines.append(f"| jaxnn.testing without oracles | {bare} | {len(rows)} | {refused} |")
    for peer in peers:
        outcomes = [row["peers"][peer] for row in rows]
        apply = [outcome for outcome in outcomes if outcome != "n/a"]
        lines.append(
            f"| {peer} | {outcomes.count('killed')} | {len(apply)} | {outcomes.count('false alarm')} |"
        )
    lines += ["", f"Inconclusive verdicts: {unsure} of {total}; they never count as a catch.", ""]
    lines += _seeds(rows, seeds)
    head = ["bug", "kind", "killed by", "no oracle", *peers]
    lines += ["## Every mutant", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        meant = [check for check in row["killers"] if check.startswith(row["declared"])]
        others = [check for check in row["killers"] if check not in meant]
        by = f"**{meant[0]}**" if meant else "**ALIVE**"
        by += f" (+{len(others)})" if others else ""
        cells = [row["name"], row["kind"], by, "yes" if row["without oracle"] else "no"]
        lines.append(f"| {' | '.join([*cells, *(row['peers'][peer] for peer in peers)])} |")
    return "\n".join(lines) + "\n"


def _seeds(rows: list[dict[str, Any]], seeds: dict[str, dict[str, int]]) -> list[str]:
    tallies = [seeds[row["name"]] for row in rows if seeds.get(row["name"], {}).get("seeds")]
    if not tallies:
        return []
    least, runs = min(t["seeds"] for t in tallies), sum(t["seeds"] for t in tallies)
    failed, unsure = sum(t["failed"] for t in tallies), sum(t["inconclusive"] for t in tallies)
    return [
        "## Seeds on the originals",
        "",
        f"Each of {len(tallies)} originals was checked with {least} seeds or more ({runs} runs): a new "
        "point, new directions, cotangents, rows and hard-point coordinates each time, through finite "
        "differences, linearity, dot products, `vmap`, `scan` with `remat`, and where they apply rows and "
        "one kind of hard point after the other (for update rules: zero gradients, oddness, permutation).",
        "",
        f"False alarms: **{failed}** of {runs}. Inconclusive: {unsure} of {runs}.",
        "",
    ]
