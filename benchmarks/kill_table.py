"""The kill table: every mutant against the kit and against other checkers, and seeds on the originals.

    python -m benchmarks.kill_table                  # mutants, then 1000 seeds on each original: the page
    python -m benchmarks.kill_table --seeds 0        # mutants alone
    python -m benchmarks.kill_table --only dropout   # some of them, printed and not written

Results are kept in ``benchmarks/results/kill_table.json`` as they come, so that a run that was cut short goes
on where it stopped; ``--fresh`` starts anew.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

from benchmarks import _false_alarms, _peer_checkers
from benchmarks._kill_page import page
from benchmarks.mutants import MUTANTS, Mutant
from jaxnn import testing

_FOLDER = Path(__file__).parent
DATA = _FOLDER / "results" / "kill_table.json"
PAGE = _FOLDER.parent / "docs" / "kill_table.md"
_BLOCK = 100


def measure(mutant: Mutant) -> dict[str, Any]:
    """One row: what the kit and the peers say of a mutant and of its original."""
    original, broken = mutant.check(False), mutant.check(True)
    failures = [v.check for v in broken.verdicts if v.outcome is testing.Outcome.FAIL]
    killers = list(dict.fromkeys(failures))
    return {
        "name": mutant.name,
        "kind": mutant.kind,
        "declared": mutant.killer,
        "as declared": any(check.startswith(mutant.killer) for check in killers),
        "killers": killers,
        "without oracle": [check for check in killers if not check.startswith("oracle")],
        "needs oracle": mutant.needs_oracle,
        "false alarm": [v.check for v in original.failures],
        "inconclusive": sum(v.outcome is testing.Outcome.INCONCLUSIVE for v in broken.verdicts),
        "verdicts": len(broken.verdicts) + len(original.verdicts),
        "peers": {peer: _peer_checkers.outcome(peer, mutant) for peer in _peer_checkers.PEERS},
    }


def _more_seeds(mutant: Mutant, seeds: dict[str, Any], target: int) -> None:
    """Go on with the seeds on one original until there are ``target``."""
    tally = seeds.setdefault(mutant.name, {"seeds": 0, "failed": 0, "inconclusive": 0})
    if tally["seeds"] < target:
        found = _false_alarms.count(mutant, range(tally["seeds"], target))
        for outcome in ("failed", "inconclusive"):
            tally[outcome] += found[outcome]
        tally["seeds"] = target
        jax.clear_caches()


def _load(fresh: bool) -> dict[str, Any]:
    if fresh or not DATA.exists():
        return {"mutants": {}, "seeds": {}}
    return json.loads(DATA.read_text())


def _save(results: dict[str, Any]) -> None:
    scratch = DATA.with_suffix(".tmp")
    scratch.write_text(json.dumps(results, indent=1) + "\n")
    scratch.replace(DATA)


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, write the page, and return 1 if a mutant lives or an original is refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_table", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="seeds on each original")
    parser.add_argument("--only", default="", help="mutants whose name contains this; nothing is written")
    parser.add_argument(
        "--page", action="store_true", help="write the page from earlier results, measure nothing"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    options = parser.parse_args(argv)
    jax.config.update("jax_legacy_prng_key", "error")
    results = _load(options.fresh or bool(options.only))
    chosen = [m for m in MUTANTS if options.only in m.name]
    if options.page:
        chosen, options.seeds = [m for m in chosen if m.name in results["mutants"]], 0
    for mutant in chosen:
        if mutant.name not in results["mutants"]:
            row = results["mutants"][mutant.name] = measure(mutant)
            print(f"{mutant.name}: {', '.join(row['killers']) or 'ALIVE'} | {row['peers']}", flush=True)
            if not options.only:
                _save(results)
    for target in range(_BLOCK, options.seeds + _BLOCK, _BLOCK):
        for mutant in chosen:
            _more_seeds(mutant, results["seeds"], min(target, options.seeds))
            if not options.only:
                _save(results)
        print(f"{min(target, options.seeds)} seeds on each of {len(chosen)} originals", flush=True)
    rows = [results["mutants"][m.name] for m in chosen]
    text = page(rows, results["seeds"])
    if options.only:
        print(text)
    else:
        PAGE.write_text(text)
    alive = [row["name"] for row in rows if not row["as declared"] or row["false alarm"]]
    alarms = sum(tally["failed"] for tally in results["seeds"].values())
    return 1 if alive or alarms else 0


if __name__ == "__main__":
    sys.exit(main())
