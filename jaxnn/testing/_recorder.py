"""Running checks one after another: an exception of the subject is a finding, never a crash of the kit."""

from collections.abc import Callable

import numpy as np

from jaxnn.testing._report import Report, Verdict, failed


class Recorder:
    """Adds the verdicts of checks to a report, in one mode and one lane of the subject."""

    def __init__(self, report: Report, mode: str = "") -> None:
        self.report, self.mode, self.lane = report, mode, ""

    def run(self, name: str, check: Callable[[], list[Verdict] | tuple[list[Verdict], str]]) -> None:
        """Run one check; it returns verdicts, or verdicts and a note."""
        try:
            # Values that are not finite are what some checks look for; NumPy need not warn of them.
            with np.errstate(all="ignore"):
                found = check()
        except Exception as error:  # the subject may raise anything
            lines = str(error).strip().splitlines() or [""]
            text = f"raises {type(error).__name__}: " + "\n".join(lines[:6])
            found = [failed(name, text)]
        if isinstance(found, tuple):
            found, note = found
            if note:
                self.report.note(note)
        self.report.add(found, self.mode, self.lane)
