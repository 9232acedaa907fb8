"""Measure rows of the table: ``python -m benchmarks mlp_epoch``.

Each contender runs in a process of its own; laps are taken in turn, A B C ... A B C ..., and the table gives
medians and spreads of one run. Absolute times say little about another machine: compare ratios.
"""

import argparse
import importlib
import pathlib
import sys

from benchmarks._classify import describe_data
from benchmarks._document import write_document
from benchmarks._measure import steady, whole_processes
from benchmarks._report import RESULTS, save, summarise, table
from benchmarks._row import Row

ROWS = (
    *("mlp_epoch", "mlp_process", "cnn_step", "recurrent", "recurrent_large", "gru", "transformer"),
    *("iris", "skip_gram", "import_time", "init_depth", "epoch_formulations"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one or more of: {', '.join(ROWS)}, all")
    parser.add_argument("--rounds", type=int, default=5, help="laps of each contender (default: %(default)s)")
    parser.add_argument("--only", action="append", metavar="NAME", help="a contender; may be repeated")
    parser.add_argument("--size", choices=("full", "tiny"), default="full", help="tiny is for tests")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--lock", help="file to lock during each round, where several jobs share a machine")
    parser.add_argument(
        "--document", action="store_true", help="write docs/performance.md from the JSON files"
    )
    return parser


def _load(name: str) -> Row:
    return importlib.import_module(f"benchmarks.{name}").ROW


def main(arguments: list[str]) -> int:
    """Measure the rows asked for, print their tables and save them."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    names = list(ROWS) if chosen.rows == ["all"] else chosen.rows
    unknown = [name for name in names if name not in ROWS]
    if unknown or not (names or chosen.document):
        parser.error(
            f"unknown rows {unknown}; choose from {', '.join(ROWS)}" if unknown else "name a row, or all"
        )
    for name in names:
        row = _load(name)
        everyone = [one.name for one in row.contenders]
        some = chosen.only or everyone
        if missing := [one for one in some if one not in everyone]:
            parser.error(f"{name} has no contender {missing}; choose from {everyone}")
        measure = steady if row.laps == "steady" else whole_processes
        say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
        raw = measure(name, row, chosen.size, some, chosen.rounds, chosen.lock, say)
        summary = summarise(name, row, chosen.size, raw, describe_data() if row.uses_pictures else "")
        print(table(summary), f"\n\nwritten to {save(summary, chosen.out)}\n", sep="", flush=True)
    if chosen.document:
        print(f"written: {write_document(chosen.out, ROWS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
