"""The probability of all other labels, as a sum of positive parts that keeps its digits where it is small.

A path is followed frame by frame: it is in one state of ``_ a _ b _`` as long as what it emitted so far
begins the labels, and is lost with the first class that does not. What is lost, and what ends before the last
label, adds up to one minus the probability of the labels; logarithms of the paths cancel to no digit.
"""

from typing import Any

import jax
import jax.numpy as jnp


def missed(p: Any, states: Any, may_skip: Any, count: Any, real_frame: Any) -> Any:
    """Return the probability of everything but the labels.

    Args:
        p: probabilities ``[frames, classes]``.
        states: the class of each state, ``[2 * length + 1]``, blanks at the even ones.
        may_skip: whether each is reached past a blank.
        count: how many labels are real; the first ones.
        real_frame: booleans ``[frames]``.
    """
    place, last = jnp.arange(states.size, dtype=count.dtype), 2 * count
    real = place <= last
    lost = _lost(p, states, may_skip & real, real)
    none = jnp.zeros(2, p.dtype)

    def step(carry: tuple[Any, Any], frame: Any) -> tuple[tuple[Any, Any], None]:
        (alive, dead), (emitted, lost, real_frame) = carry, frame
        go = jnp.concatenate([none[:1], alive[:-1]])
        skip = jnp.where(may_skip, jnp.concatenate([none, alive])[: states.size], 0)
        moved = jnp.where(real, (alive + go + skip) * emitted, 0)
        kept = jnp.where(real_frame, moved, alive), jnp.where(real_frame, dead + jnp.sum(alive * lost), dead)
        return kept, None

    start = jnp.zeros(states.size, p.dtype).at[0].set(1), jnp.zeros((), p.dtype)
    (alive, dead), _ = jax.lax.scan(step, start, (p[:, states], lost, real_frame))
    return dead + jnp.sum(jnp.where((place == last) | (place == last - 1), 0, alive))


def _lost(p: Any, states: Any, may_skip: Any, real: Any) -> Any:
    """Probability of the classes that leave the labels from each state: ``[frames, states]``."""
    symbols = jnp.concatenate([states[:1], states[1::2]])
    same = symbols[:, None] == symbols[None]
    first = ~jnp.any(jnp.tril(same, -1), -1)
    stay = symbols[:, None] == states[None]
    # A state's class leads on from the one before it, and from the one before that where a blank is skipped.
    go, skip = jnp.pad(stay & real[None], ((0, 0), (0, 1))), jnp.pad(stay & may_skip[None], ((0, 0), (0, 2)))
    allowed = stay | go[:, 1:] | skip[:, 2:]
    known = jnp.zeros(p.shape[-1], bool).at[states].set(True)
    among = jnp.matmul(
        p[:, symbols], (first[:, None] & ~allowed).astype(p.dtype), precision=jax.lax.Precision.HIGHEST
    )
    return jnp.sum(jnp.where(known[None], 0, p), -1, keepdims=True) + among
