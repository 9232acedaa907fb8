"""The pole on a cart (Barto, Sutton and Anderson, 1983), as Gymnasium's CartPole-v1 steps it.

A cart of mass M on a rail is pushed by a force F of 10 N to the left or to the right; on it stands a pole of
mass m and half-length l. With ``a = (F + m l w^2 sin(t)) / (M + m)``, ``t`` the pole's angle from upright and
``w`` its angular velocity::

    dw/dt = (g sin(t) - a cos(t)) / (l (4/3 - m cos(t)^2 / (M + m)))
    dv/dt = a - m l (dw/dt) cos(t) / (M + m)

(no friction; Florian, 2007, "Correct equations for the dynamics of the cart-pole system"). A step is one
Euler step of 0.02 s. Each step earns 1. The episode *terminates* when the cart has left the rail or the
pole has tilted too far, and is *truncated* after 500 steps, where it might well have gone on.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

GRAVITY = 9.8  # m/s^2
CART, POLE, HALF_LENGTH = 1.0, 0.1, 0.5  # kg, kg, m
FORCE = 10.0  # N
STEP = 0.02  # s
RAIL = 2.4  # m, to either side
TILT = 12 * 2 * math.pi / 360  # rad, to either side
LIMIT = 500  # steps
ACTIONS = 2


class World(NamedTuple):
    """One cart with its pole.

    Attributes:
        motion: ``[4]``: position (m), velocity (m/s), angle (rad), angular velocity (rad/s). It is what the
            agent observes.
        time: steps since the episode began, int32.
    """

    motion: Any
    time: Any


def reset(key: Any, dtype: Any = jnp.float32) -> World:
    """Begin an episode: each of the four numbers drawn from the uniform distribution on (-0.05, 0.05)."""
    return World(jax.random.uniform(key, (4,), dtype, -0.05, 0.05), jnp.zeros((), jnp.int32))


def step(world: World, action: Any) -> tuple[World, Any, Any, Any]:
    """Push the cart for one step: to the left (action 0) or to the right (action 1).

    Returns:
        The next world, the reward, and whether the episode has terminated and whether it is truncated. It
        does not begin another one: ``play.rollout`` does.
    """
    x, v, t, w = world.motion
    mass = CART + POLE
    force = jnp.where(action == 1, FORCE, -FORCE).astype(x.dtype)
    sine, cosine = jnp.sin(t), jnp.cos(t)
    push = (force + POLE * HALF_LENGTH * w**2 * sine) / mass
    turn = (GRAVITY * sine - cosine * push) / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / mass))
    drive = push - POLE * HALF_LENGTH * turn * cosine / mass
    motion = jnp.stack([x + STEP * v, v + STEP * drive, t + STEP * w, w + STEP * turn])
    new = World(motion, world.time + 1)
    terminated = (jnp.abs(motion[0]) > RAIL) | (jnp.abs(motion[2]) > TILT)
    return new, jnp.ones((), motion.dtype), terminated, new.time >= LIMIT
