"""Bugs that the kit must catch, each by the check meant for it; the page docs/kill_table.md has them all."""

import pytest

from benchmarks.mutants import MUTANTS, Mutant
from jaxnn import testing

# One of each class of bug for every run; all of them when slow tests are asked for.
CORE = {
    "bias gradient is a mean, not a sum": "gradients",
    "backward ignores its cotangent": "gradients",
    "custom_vmap rule for mapped arguments only": "transforms",
    "tied maxima each get all": "points",
    "bias never used": "gradients",
    "divided by the batch size": "rows",
    "two fold_in with equal data": "keys",
    "weakly typed state": "state",
    "another formula for concrete arrays": "transforms",
    "mask forgotten": "masks",
    "Huber's joint broken": "laws",
    "clipping leaf by leaf": "symmetry",
    "decay mask inverted": "values",
}


def killed(mutant: Mutant, **options) -> None:
    original, broken = mutant.check(False, **options), mutant.check(True, **options)
    assert original.outcome is testing.Outcome.PASS, str(original)
    failures = [v.check for v in broken.verdicts if v.outcome is testing.Outcome.FAIL]
    assert any(check.startswith(mutant.killer) for check in failures), str(broken)


@pytest.mark.parametrize("name", CORE)
def test_a_class_of_bugs_is_caught(name):
    mutant = next(m for m in MUTANTS if m.name == name)
    killed(mutant, lanes=[CORE[name]])


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught_and_no_original_refused(mutant):
    killed(mutant)


def test_names_are_unique():
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert len(names) >= 45


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_bug_can_still_be_put_in(mutant):
    assert mutant.make(True) is not None
