"""Playing in many copies of the environment at once, by ``vmap``, for many steps, by ``scan``."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.agents import cartpole

# (key, observations [environments, 4]) -> actions [environments], and what is to be kept of the choice.
Policy = Callable[[Any, Any], tuple[Any, dict[str, Any]]]


class Players(NamedTuple):
    """Worlds in the middle of their episodes.

    Attributes:
        worlds: ``cartpole.World`` with leaves ``[environments, ...]``.
        earned: rewards of the running episodes, ``[environments]``.
        last_return: total reward of the last finished episode, ``[environments]``; 0 before the first.
    """

    worlds: cartpole.World
    earned: Any
    last_return: Any


def begin(key: Any, environments: int, spread: bool = False) -> Players:
    """Begin an episode in each environment.

    Args:
        key: for the beginnings.
        environments: how many.
        spread: whether the clocks of these first episodes start at times spread over a whole episode. With
            equal clocks all episodes of good players would be cut at the same step, and what they see within
            a few steps would be one part of an episode only.
    """
    worlds = jax.vmap(cartpole.reset)(jax.random.split(key, environments))
    if spread:
        times = jnp.arange(environments, dtype=jnp.int32) * cartpole.LIMIT // environments
        worlds = worlds._replace(time=times)
    return Players(worlds, jnp.zeros(environments), jnp.zeros(environments))


def rollout(key: Any, players: Players, policy: Policy, steps: int) -> tuple[Players, dict[str, Any]]:
    """Play on for ``steps`` steps; where an episode ends, the next one begins at once.

    Returns:
        The players, and what happened, each ``[steps, environments, ...]``: ``observation``, ``action``,
        ``reward``, ``terminated``, ``ended`` (terminated or truncated), ``next_observation`` (the one that
        the episode ended with, not the one that the next began with), and what the policy keeps.
    """

    def one(players: Players, key: Any) -> tuple[Players, dict[str, Any]]:
        choice, fresh = jax.random.split(key)
        before = players.worlds.motion
        action, kept = policy(choice, before)
        after, reward, terminated, truncated = jax.vmap(cartpole.step)(players.worlds, action)
        ended = terminated | truncated
        earned = players.earned + reward
        new = begin(fresh, ended.size).worlds
        players = Players(
            cartpole.World(
                jnp.where(ended[:, None], new.motion, after.motion), jnp.where(ended, new.time, after.time)
            ),
            jnp.where(ended, 0, earned),
            jnp.where(ended, earned, players.last_return),
        )
        return players, {
            "observation": before,
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "ended": ended,
            "next_observation": after.motion,
            **kept,
        }

    return jax.lax.scan(one, players, jax.random.split(key, steps))


def episodes(key: Any, policy: Policy, count: int) -> tuple[Any, Any]:
    """Play ``count`` episodes to their ends.

    Returns:
        Their returns ``[count]``, and the motion of each ``[time, count, 4]``; after an episode's end the
        motion is that of the next one.
    """
    start, play = jax.random.split(key)
    _, seen = rollout(play, begin(start, count), policy, cartpole.LIMIT)
    ended = seen["ended"].astype(jnp.int32)
    first = jnp.cumsum(ended, axis=0) - ended == 0
    return jnp.sum(jnp.where(first, seen["reward"], 0), axis=0), seen["observation"]
