"""Verdicts, the report that holds them, and the exception that carries it."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from jaxnn.core import printable


class Outcome(enum.Enum):
    """What one check concluded; only ``PASS`` lets a report pass."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Verdict:
    """The conclusion of one check.

    Attributes:
        check: the law that was checked, such as ``"finite difference"``.
        outcome: pass, fail, or inconclusive (the reference was too noisy to tell).
        detail: what was found, in one or a few lines; empty for a plain pass.
        measured: the largest error met, in the units of ``tolerance``.
        tolerance: the error that was allowed.
        mode: the mode of the subject, such as ``"train=True"``.
        lane: the group of laws it belongs to.
    """

    check: str
    outcome: Outcome
    detail: str = ""
    measured: float | None = None
    tolerance: float | None = None
    mode: str = ""
    lane: str = ""


@dataclass
class Report:
    """Everything that a call of the kit found out about one subject.

    Attributes:
        subject: the name of what was checked.
        verdicts: one :class:`Verdict` for each law, in the order of checking.
        notes: laws that do not apply here, and why.
        call: the call that made this report, to which ``replay`` adds the lanes that did not pass.
        seconds: wall-clock time of the checks, compilation included.
    """

    subject: str
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    call: str = ""
    seconds: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """``FAIL`` if a check failed, else ``INCONCLUSIVE`` if one could not tell, else ``PASS``."""
        outcomes = {verdict.outcome for verdict in self.verdicts}
        for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
            if outcome in outcomes:
                return outcome
        return Outcome.PASS

    @property
    def failures(self) -> list[Verdict]:
        """The verdicts that are not a pass."""
        return [verdict for verdict in self.verdicts if verdict.outcome is not Outcome.PASS]

    @property
    def replay(self) -> str:
        """One line of Python that runs the lanes that did not pass again."""
        lanes = list(dict.fromkeys(verdict.lane for verdict in self.failures if verdict.lane))
        return f"{self.call}, lanes={lanes!r})" if lanes else f"{self.call})"

    def add(self, verdicts: Iterable[Verdict], mode: str = "", lane: str = "") -> None:
        """Append verdicts, marked with the mode and the lane in which they were reached."""
        self.verdicts.extend(replace(verdict, mode=mode, lane=lane) for verdict in verdicts)

    def note(self, text: str) -> None:
        """Remember once that something was not checked, and why."""
        if text not in self.notes:
            self.notes.append(text)

    def raise_unless_passed(self) -> None:
        """Raise :class:`CheckError` with this report as its message, unless every check passed."""
        if self.outcome is not Outcome.PASS:
            raise CheckError(self)

    def __str__(self) -> str:
        bad = self.failures
        head = f"{self.subject}: {self.outcome.value}"
        if bad:
            head += f" ({len(bad)} of {len(self.verdicts)} checks)"
        lines = [head]
        for verdict in bad:
            mode = f" [{verdict.mode}]" if verdict.mode else ""
            lines.append(f"  {verdict.outcome.value} {verdict.check}{mode}")
            lines.extend(f"      {line}" for line in verdict.detail.splitlines())
        if bad and self.call:
            lines.append(f"  replay: {self.replay}")
        return printable("\n".join(lines))

    def table(self) -> str:
        """Every verdict on a line of its own, then the notes, then the failures in full."""
        width = max([len(verdict.check) for verdict in self.verdicts], default=5)
        modes = max([len(verdict.mode) for verdict in self.verdicts], default=0)
        lines = []
        for verdict in self.verdicts:
            line = f"{verdict.outcome.value:<12}  {verdict.mode:<{modes}}  {verdict.check:<{width}}"
            if verdict.measured is not None and verdict.tolerance is not None:
                line += f"  error {verdict.measured:.1e} of {verdict.tolerance:.0e} allowed"
            lines.append(line.rstrip())
        lines.extend(f"note          {note}" for note in self.notes)
        lines.append(f"{self} in {self.seconds:.1f} s" if not self.failures else str(self))
        return printable("\n".join(lines))


class CheckError(AssertionError):
    """A subject broke a law of the kit, or the kit could not tell.

    It is an ``AssertionError``, so test runners count it as a failed test.

    Attributes:
        report: the whole :class:`Report`.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type["CheckError"], tuple[Report]]:
        return type(self), (self.report,)


def passed(check: str, measured: float | None = None, tolerance: float | None = None) -> Verdict:
    """A verdict that the law held."""
    return Verdict(check, Outcome.PASS, "", measured, tolerance)


def failed(check: str, detail: str, measured: float | None = None, tolerance: float | None = None) -> Verdict:
    """A verdict that the law was broken."""
    return Verdict(check, Outcome.FAIL, detail, measured, tolerance)


def inconclusive(check: str, detail: str) -> Verdict:
    """A verdict that the reference is too noisy to decide."""
    return Verdict(check, Outcome.INCONCLUSIVE, detail)
