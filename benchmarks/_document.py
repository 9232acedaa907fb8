"""Writes the measured part of ``docs/performance.md`` from the JSON files."""

import json
import pathlib
from collections.abc import Iterable

from benchmarks._report import table

DOCUMENT = pathlib.Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN = "<!-- measured: written by `python -m benchmarks --document` -->"
END = "<!-- end of measured -->"


def write_document(folder: pathlib.Path, rows: Iterable[str]) -> pathlib.Path:
    """Put the tables of all rows that have a JSON file in ``folder`` between the two marks of the page.

    Raises:
        ValueError: the page lacks a mark.
    """
    tables = [
        table(json.loads(path.read_text())) for name in rows if (path := folder / f"{name}.json").exists()
    ]
    before, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"benchmarks: {DOCUMENT} lacks the marks {BEGIN!r} and {END!r}")
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(tables) + f"\n\n{END}{after}")
    return DOCUMENT
