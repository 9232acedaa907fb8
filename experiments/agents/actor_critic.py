"""Learning from play: the advantage of an action, and the loss of an actor and its critic.

The *critic* ``V(s)`` foretells the discounted rewards that are still to come. What an action brought beyond
that is its advantage, estimated by ``A_t = sum_k (discount trace)^k d_(t+k)`` with ``d_t = r_t + discount
V(s_(t+1)) - V(s_t)`` (Schulman et al., 2016, arXiv:1506.02438). The *actor* makes actions of positive
advantage more probable and the others less, but no batch may move it far: with the ratio ``q`` of an
action's new probability to the one that it was drawn with, it maximises ``min(q A, clip(q, 1 - clip, 1 +
clip) A)`` (Schulman et al., 2017, arXiv:1707.06347).
"""

from typing import Any

import jax
import jax.numpy as jnp

import jaxnn as nn
from jaxnn import metrics
from jaxnn.train import Objective, Terms


def advantages(values: Any, next_values: Any, played: dict[str, Any], discount: float, trace: float) -> Any:
    """Generalised advantage estimates ``[steps, environments]``.

    An episode that has *terminated* earns nothing any more. One that was *truncated* would have gone on:
    its last state counts by its value, and only the sum stops there.

    Args:
        values: of the observations, ``[steps, environments]``.
        next_values: of the observations that followed.
        played: from ``play.rollout``.
        discount: of a reward one step later.
        trace: of a surprise one step later; 0 trusts the critic alone, 1 the rewards alone.
    """
    alive = 1 - played["terminated"].astype(values.dtype)
    surprise = played["reward"] + discount * alive * next_values - values
    keeps = discount * trace * (1 - played["ended"].astype(values.dtype))

    def back(later: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        total = now[0] + now[1] * later
        return total, total

    return jax.lax.scan(back, jnp.zeros_like(values[0]), (surprise, keeps), reverse=True)[1]


def actor_critic(agent: nn.Layer, clip: float, value_weight: float, entropy_weight: float) -> Objective:
    """The loss of both; batches hold what ``play.rollout`` saw, with ``advantage`` and ``target``.

    Args:
        agent: observations ``[batch, 4]`` to logits ``[batch, actions]`` and values ``[batch, 1]``.
        clip: how far a ratio of probabilities counts.
        value_weight: of the critic's squared error.
        entropy_weight: of the entropy (nats), which keeps the actor trying.
    """

    def init(key: Any, batch: Any) -> tuple[Any, Any]:
        return agent.init(key, batch["observation"])

    def evaluate(
        params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Any]:
        (logits, values), state = agent.apply(params, state, batch["observation"], key=key, train=train)
        logs = jax.nn.log_softmax(logits)
        chosen = jnp.take_along_axis(logs, batch["action"][:, None], axis=1)[:, 0]
        ratio = jnp.exp(chosen - batch["log_probability"])
        gain = batch["advantage"]
        actor = -jnp.minimum(ratio * gain, jnp.clip(ratio, 1 - clip, 1 + clip) * gain)
        critic = (values[:, 0] - batch["target"]) ** 2 / 2
        entropy = -jnp.sum(jnp.exp(logs) * logs, axis=1)
        aux = {"critic": metrics.Mean.of(critic), "entropy": metrics.Mean.of(entropy)}
        return Terms(actor + value_weight * critic - entropy_weight * entropy, None, aux), state

    return Objective(init, evaluate)
