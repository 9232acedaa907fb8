"""What randomness must do: need a key, stay out of evaluation, and leave means alone."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._keys import check_keys
from jaxnn.testing._program import is_float
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._subject import Subject

_SAMPLES = 2000


def check_randomness(subject: Subject, unbiased: bool | None) -> list[Verdict]:
    """The laws of keys for one mode of a layer.

    Args:
        subject: the layer.
        unbiased: whether the mean over keys must equal evaluation; ``None`` asks it of layers that are the
            identity in evaluation and random in training.
    """
    verdicts = [_init_keys(subject)]
    if not subject.random:
        return verdicts if subject.train else [*verdicts, passed("evaluation draws nothing")]
    if not subject.train:
        text = "random numbers are drawn with train=False; check with train=(True,) if that is meant"
        return [*verdicts, failed("evaluation draws nothing", text)]
    verdicts += check_keys(
        "distinct keys at every draw", subject.run, *subject.initial, subject.x, subject.key
    )
    verdicts += [_asks_for_key(subject), _other_key(subject)]
    if unbiased or (unbiased is None and _identity_in_evaluation(subject)):
        verdicts.append(_mean(subject))
    return verdicts


def _init_keys(subject: Subject) -> Verdict:
    name = "init: distinct keys"
    verdict = check_keys(name, lambda key: subject.layer.init(key, subject.x), subject.key)[0]
    if verdict.detail:
        return verdict
    seen: dict[bytes, str] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(subject.initial[0])[0]:
        value = np.asarray(leaf)
        if value.size > 1 and np.ptp(value.astype(np.float64)) > 0 and is_float(leaf):
            bits = value.tobytes()
            if bits in seen:
                return failed(name, f"params{jax.tree_util.keystr(path)} starts equal to params{seen[bits]}")
            seen[bits] = jax.tree_util.keystr(path)
    return passed(name)


def _asks_for_key(subject: Subject) -> Verdict:
    name = "missing key"
    for key, what in ((None, "no key"), (7, "the int 7 as key")):
        try:
            subject.run(*subject.initial, subject.x, key)
        except (TypeError, ValueError) as error:
            if subject.layer.name in str(error) or "key" in str(error):
                continue
            return failed(name, f"{what} raises a message that names neither layer nor key: {error}")
        return failed(name, f"training with {what} raises nothing, although random numbers are drawn")
    return passed(name)


def _other_key(subject: Subject) -> Verdict:
    name = "another key, other bits"
    first = subject.run(*subject.initial, subject.x, subject.key)
    second = subject.run(*subject.initial, subject.x, jax.random.fold_in(subject.key, 1))
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    if all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs):
        return failed(
            name, "two keys give the same result: the key that is passed is not the one that is used"
        )
    return passed(name)


def _identity_in_evaluation(subject: Subject) -> bool:
    y, _ = subject.layer.apply(*subject.initial, subject.x, train=False)
    left, right = jax.tree.leaves(y), jax.tree.leaves(subject.x)
    return len(left) == len(right) and all(
        np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(left, right, strict=True)
    )


def _mean(subject: Subject) -> Verdict:
    """The mean over keys equals evaluation, within 5 standard errors (6.5 for the worst element)."""
    name = "mean over keys = evaluation"
    leaves, structure = jax.tree.flatten(subject.x)
    x = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in leaves])
    keys = jax.random.split(subject.key, _SAMPLES)
    drawn: Any = jax.jit(jax.vmap(lambda key: subject.run(*subject.initial, x, key)[0]))(keys)
    expected = subject.layer.apply(*subject.initial, x, train=False)[0]
    for samples, target in zip(jax.tree.leaves(drawn), jax.tree.leaves(expected), strict=True):
        if not is_float(target):
            continue
        values, mean = np.asarray(samples, np.float64), np.asarray(target, np.float64)
        error = values.mean(0) - mean
        spread = values.std(0, ddof=1) / math.sqrt(_SAMPLES) + 1e-6 * (np.abs(mean) + 1e-3)
        worst = float(np.max(np.abs(error) / spread))
        weight = mean if np.any(mean) else np.ones_like(mean)
        projected = ((values - mean) * weight).reshape(_SAMPLES, -1).sum(1)
        deviation = abs(projected.mean()) / (projected.std(ddof=1) / math.sqrt(_SAMPLES) + 1e-12)
        if worst > 6.5 or deviation > 5:
            ratio = (
                float(np.sum(values.mean(0) * weight) / np.sum(mean * weight)) if np.any(mean) else math.nan
            )
            text = f"the mean over keys is {ratio:.4g} times the value in evaluation ({deviation:.1f} sigma)"
            return failed(name, text, deviation, 5.0)
    return passed(name)
