"""Wrong inputs raise an error that names the layer."""

import re
from collections.abc import Sequence
from typing import Any

import jax

from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._subject import Subject


def check_bad_inputs(subject: Subject, bad_inputs: Sequence[Any]) -> list[Verdict]:
    """Each bad input, and missing parameters, raise an error that names the layer or one of its parameters.

    It is a ``ValueError`` or a ``TypeError``; of a layer that reads its parameters by name, a ``KeyError``.

    Args:
        subject: the layer.
        bad_inputs: inputs (arrays, specs, pytrees) that it must refuse.
    """
    verdicts = []
    known = {subject.layer.name, *_names(subject.initial[0])}
    key = subject.key if subject.random else None
    cases = [(f"bad input {i}", subject.initial[0], bad) for i, bad in enumerate(bad_inputs)]
    if subject.initial[0]:
        cases.append(("missing parameters", {}, subject.x))
    for name, params, x in cases:
        try:
            jax.eval_shape(lambda p, s, x: subject.run(p, s, x, key), params, subject.initial[1], x)
        except (TypeError, ValueError, KeyError) as error:
            text = str(error) + "\n".join(getattr(error, "__notes__", []))
            if any(word in text for word in known):
                verdicts.append(passed(name))
            else:
                verdicts.append(
                    failed(name, f"the message does not name {subject.layer.name!r}: {text.splitlines()[0]}")
                )
        except Exception as error:  # a wrong input must not surface as an internal failure
            verdicts.append(failed(name, f"raises {type(error).__name__}, expected ValueError or TypeError"))
        else:
            verdicts.append(failed(name, "is accepted silently"))
    return verdicts


def _names(tree: Any) -> set[str]:
    """The names in a tree of parameters, without their numbers."""
    if not isinstance(tree, dict):
        return set()
    return {re.sub(r"_\d+$", "", name) for name in tree}.union(*map(_names, tree.values()))
