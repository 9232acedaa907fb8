"""The cart and its pole against Gymnasium and against the equations of motion; play, advantages, loss."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.agents import cartpole, play
from experiments.agents.actor_critic import actor_critic, advantages
from experiments.cartpole import Config, build, effective, make_train


def forces_on(motion: np.ndarray, push: float, turn: float, drive: float) -> tuple[float, float]:
    """What Newton's equations of cart and pole leave over; zero where the accelerations are right."""
    _, _, t, w = motion
    m, mass, half = 0.1, 1.1, 0.5
    along = mass * drive + m * half * (turn * math.cos(t) - w**2 * math.sin(t)) - push
    around = 4 / 3 * m * half**2 * turn + m * half * drive * math.cos(t) - m * 9.8 * half * math.sin(t)
    return along, around


def test_a_step_obeys_newton() -> None:
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        step = jax.jit(cartpole.step)
        for _ in range(20):
            motion, action = rng.uniform(-1, 1, 4), int(rng.integers(2))
            world = cartpole.World(jnp.asarray(motion), jnp.int32(0))
            after = np.asarray(step(world, jnp.int32(action))[0].motion)
            assert after[[0, 2]] == pytest.approx(motion[[0, 2]] + 0.02 * motion[[1, 3]], abs=1e-14)
            drive, turn = (after[[1, 3]] - motion[[1, 3]]) / 0.02
            left = forces_on(motion, 10.0 if action else -10.0, turn, drive)
            assert left == pytest.approx((0, 0), abs=1e-11)


def test_episodes_are_gymnasiums() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("CartPole-v1")
    rng = np.random.default_rng(1)
    env.reset(seed=1)
    ends = []
    with jax.enable_x64(True):
        step = jax.jit(cartpole.step)
        world = cartpole.World(jnp.asarray(env.unwrapped.state), jnp.int32(0))
        for _ in range(1000):
            action = int(rng.integers(2))
            _, reward, terminated, truncated, _ = env.step(action)
            world, ours, stopped, cut = step(world, jnp.int32(action))
            assert np.asarray(world.motion) == pytest.approx(env.unwrapped.state, abs=1e-6)
            assert (float(ours), bool(stopped), bool(cut)) == (reward, terminated, truncated)
            ends.append(terminated)
            if terminated or truncated:
                env.reset()
                world = cartpole.World(jnp.asarray(env.unwrapped.state), jnp.int32(0))
    assert sum(ends) > 20


def test_truncation_is_gymnasiums() -> None:
    """A good controller balances until both cut the episode, at the same step."""
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=3)
    with jax.enable_x64(True):
        step = jax.jit(cartpole.step)
        world = cartpole.World(jnp.asarray(env.unwrapped.state), jnp.int32(0))
        for number in range(1, 501):
            action = balance(np.asarray(world.motion))
            _, _, terminated, truncated, _ = env.step(action)
            world, _, stopped, cut = step(world, jnp.int32(action))
            assert (bool(stopped), bool(cut)) == (terminated, truncated) == (False, number == 500)
            theirs = env.unwrapped.state
            assert np.asarray(world.motion) == pytest.approx(theirs, abs=1e-12)
            # A standing pole multiplies a difference by fifty in each second: the last digit would be seen.
            world = world._replace(motion=jnp.asarray(theirs))


def balance(motion: np.ndarray) -> int:
    x, v, t, w = motion
    return int(t + 0.3 * w + 0.02 * x + 0.05 * v > 0)


@pytest.mark.parametrize(("place", "bound"), [(0, 2.4), (2, 12 * math.pi / 180)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_episode_ends_just_beyond_the_bounds(place: int, bound: float, sign: int) -> None:
    with jax.enable_x64(True):
        for factor, ended in ((1 - 1e-9, False), (1 + 1e-9, True)):
            motion = np.zeros(4)
            motion[place] = sign * bound * factor
            world = cartpole.World(jnp.asarray(motion), jnp.int32(0))
            assert bool(cartpole.step(world, jnp.int32(0))[2]) is ended


def test_play_goes_on_where_an_episode_ends() -> None:
    def always_right(_, observation):
        return jnp.ones(len(observation), jnp.int32), {}

    players = play.begin(jax.random.key(0), 5)
    players, seen = jax.jit(play.rollout, static_argnums=(2, 3))(jax.random.key(1), players, always_right, 40)
    ended = np.asarray(seen["ended"])
    assert (ended.sum(0) >= 3).all()
    before, after = np.asarray(seen["observation"]), np.asarray(seen["next_observation"])
    goes_on = ~ended[:-1]
    assert np.array_equal(before[1:][goes_on], after[:-1][goes_on])
    assert (np.abs(before[1:][~goes_on]) <= 0.05).all()
    assert (np.abs(after[:-1][~goes_on][:, 2]) > cartpole.TILT).all()
    last = [np.diff(np.flatnonzero(column))[-1] for column in ended.T]
    assert np.asarray(players.last_return).tolist() == last


def test_advantages_are_the_definition() -> None:
    rng = np.random.default_rng(2)
    steps, worlds, discount, trace = 12, 3, 0.9, 0.8
    values, later, reward = rng.normal(size=(3, steps, worlds))
    terminated = rng.random((steps, worlds)) < 0.2
    ended = terminated | (rng.random((steps, worlds)) < 0.2)
    expected = np.zeros((steps, worlds))
    for world in range(worlds):
        for start in range(steps):
            factor = 1.0
            for t in range(start, steps):
                target = reward[t, world] + discount * later[t, world] * (not terminated[t, world])
                expected[start, world] += factor * (target - values[t, world])
                factor *= discount * trace
                if ended[t, world]:
                    break
    played = {"reward": reward, "terminated": terminated, "ended": ended}
    with jax.enable_x64(True):
        found = advantages(*jax.tree.map(jnp.asarray, (values, later, played)), discount, trace)
    assert np.asarray(found) == pytest.approx(expected, abs=1e-12)


def test_the_loss_stops_where_a_batch_has_moved_the_actor_enough() -> None:
    config = Config(hidden=4)
    agent = build(config)
    objective = actor_critic(agent, clip=0.2, value_weight=0.0, entropy_weight=0.0)
    observation = jnp.ones((1, 4))
    params, _ = agent.init(jax.random.key(0), observation)
    log = jax.nn.log_softmax(agent.apply(params, {}, observation)[0][0])[0, 0]

    def slope(old_probability_over_new: float, gain: float) -> float:
        batch = {
            "observation": observation,
            "action": jnp.array([0]),
            "log_probability": (log + math.log(old_probability_over_new))[None],
            "advantage": jnp.array([gain]),
            "target": jnp.zeros(1),
        }
        grads = jax.grad(lambda p: objective.evaluate(p, {}, batch)[0].values[0])(params)
        return float(jnp.abs(grads["actor"]["dense_2"]["bias"]).max())

    assert slope(1.0, 1.0) > 0
    assert slope(0.5, 1.0) == 0  # already twice as probable: no further
    assert slope(0.5, -1.0) > 0  # twice as probable and bad: back


@pytest.mark.slow
def test_a_lane_is_its_single_run() -> None:
    config = effective(Config(quick=True))
    train = make_train(config)
    keys = jax.random.split(jax.random.key(0), 2)
    many, one = jax.jit(jax.vmap(train))(keys), jax.jit(train)(keys[1])
    assert np.asarray(many["return"][1]) == pytest.approx(np.asarray(one["return"]), rel=0.05)
    assert many["greedy"].shape == (2, 10)


@pytest.mark.slow
def test_agents_solve_it() -> None:
    config = Config(seeds=3)
    found = jax.jit(jax.vmap(make_train(config)))(jax.random.split(jax.random.key(5), 3))
    assert (found["greedy"].mean(axis=1) >= 475).sum() >= 2
