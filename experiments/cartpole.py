"""An agent learns to balance a pole on a cart: actor and critic, in thousands of worlds at once.

The agent sees four numbers (position, velocity, angle, angular velocity), pushes the cart to the left or to
the right, and earns 1 for every step that the pole stands. It plays in 256 copies of the world (``vmap``),
learns from what happened, and plays on. Worlds, play and learning are one compiled program (``scan``), and
ten agents learn in it side by side (``train.fit_many``), so that one sees what luck does. The world's steps
are those of Gymnasium's CartPole-v1, episode ends included.

Run:     python -m experiments cartpole
Expect:  a mean return of at least 475 of 500 for at least nine of ten seeds
Time:    about 50 CPU seconds (a minute on two cores)
Course:  From calculus to convolutional networks - learning by playing
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn as nn
from experiments.agents import cartpole, play
from experiments.agents.actor_critic import actor_critic, advantages
from experiments.plots.cart import cart
from experiments.plots.spread import spread
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import optim, train

DISCOUNT, TRACE = 0.99, 0.95
CLIP, VALUE_WEIGHT, ENTROPY_WEIGHT = 0.2, 0.5, 0.01
SOLVED = 475  # the mean return at which Gymnasium calls CartPole-v1 solved


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Agents on a cart."""

    seeds: int = 10
    """Agents that learn side by side, each from its own seed."""
    environments: int = 256
    """Worlds in which each of them plays at once."""
    updates: int = 50
    """How often an agent plays and then learns."""
    steps: int = 64
    """Steps in each world before the agent learns from them."""
    passes: int = 4
    """How often it learns from the same steps."""
    batch_size: int = 1024
    """Steps in a batch."""
    learning_rate: float = 1e-3
    """Step size of Adam at the beginning; it falls to 0 along a line."""
    hidden: int = 32
    """Units in each of the two hidden layers of the actor, and of the critic."""
    test_episodes: int = 100
    """Episodes in which a trained agent is tested."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "environments", "updates", "steps", "passes", "batch_size", "hidden"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("test_episodes", self.test_episodes, least=1)
        if self.batch_size > self.environments * self.steps:
            raise ValueError(
                f"batch_size: expected at most environments * steps = {self.environments * self.steps}, got "
                f"{self.batch_size}"
            )


def build(config: Config) -> nn.Layer:
    """``[batch, 4] -> logits [batch, 2] and value [batch, 1]``: two networks of the same shape."""

    def network(outputs: int, scale: float) -> nn.Layer:
        inner, last = jax.nn.initializers.orthogonal(2**0.5), jax.nn.initializers.orthogonal(scale)
        return nn.chain(
            nn.dense(config.hidden, kernel_init=inner), jax.nn.tanh,
            nn.dense(config.hidden, kernel_init=inner), jax.nn.tanh,
            nn.dense(outputs, kernel_init=last),
        )  # fmt: skip

    return nn.branch(actor=network(cartpole.ACTIONS, 0.01), critic=network(1, 1.0))


def sampled(agent: nn.Layer, params: Any) -> play.Policy:
    """Actions drawn with the actor's probabilities, whose logarithms are kept."""

    def policy(key: Any, observation: Any) -> tuple[Any, dict[str, Any]]:
        logs = jax.nn.log_softmax(agent.apply(params, {}, observation)[0][0])
        action = jax.random.categorical(key, logs)
        return action, {"log_probability": jnp.take_along_axis(logs, action[:, None], axis=1)[:, 0]}

    return policy


def greedy(agent: nn.Layer, params: Any) -> play.Policy:
    """The most probable action."""
    return lambda _, observation: (jnp.argmax(agent.apply(params, {}, observation)[0][0], axis=1), {})


def make_train(config: Config) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``, a pure function that ``jit`` and ``vmap`` take.

    It returns ``params``; by update, ``return`` (mean over worlds of the last finished episode's),
    ``entropy`` (nats) and ``critic`` (half the squared error); the test episodes' ``greedy`` and
    ``sampled`` returns ``[test_episodes]``; and one episode from the same start before and after,
    ``untrained`` and ``trained`` ``[500, 4]``, with the former's ``untrained_return``.
    """
    agent = build(config)
    objective = actor_critic(agent, CLIP, VALUE_WEIGHT, ENTROPY_WEIGHT)
    batches = -(-config.environments * config.steps // config.batch_size)
    rate: Any = optax.linear_schedule(config.learning_rate, 0.0, config.updates * config.passes * batches)
    rule = optax.chain(optax.clip_by_global_norm(0.5), optim.adam(rate, eps=1e-5))
    epoch = train.make_epoch(objective, rule, config.batch_size)

    def learn(state: train.TrainState, played: dict[str, Any]) -> tuple[train.TrainState, Any]:
        def value(observation: Any) -> Any:
            return agent.apply(state.params, {}, observation)[0][1][..., 0]

        # In units of the most that can be to come, 1 / (1 - DISCOUNT) steps, values are of the order of 1.
        scored = played | {"reward": (1 - DISCOUNT) * played["reward"]}
        now, later = value(played["observation"]), value(played["next_observation"])
        advantage = advantages(now, later, scored, DISCOUNT, TRACE)
        scaled = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
        kept = {name: played[name] for name in ("observation", "action", "log_probability")}
        data = {**kept, "advantage": scaled, "target": now + advantage}
        data = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), data)

        def one(state: train.TrainState, _: None) -> tuple[train.TrainState, Any]:
            return epoch(state, data)

        state, records = jax.lax.scan(one, state, length=config.passes)
        return state, jax.tree.map(lambda leaf: leaf[-1], records)

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        start, first, updates, test = jax.random.split(key, 4)
        spec = {"observation": jax.ShapeDtypeStruct((1, 4), jnp.float32)}
        state = train.TrainState.create(objective, rule, start, spec)

        def update(carry: Any, key: Any) -> tuple[Any, dict[str, Any]]:
            state, players = carry
            players, played = play.rollout(key, players, sampled(agent, state.params), config.steps)
            state, record = learn(state, played)
            told = {name: record[name].compute() for name in ("entropy", "critic")}
            return (state, players), {"return": jnp.mean(players.last_return), **told}

        carry = state, play.begin(first, config.environments, spread=True)
        (trained, _), history = jax.lax.scan(update, carry, jax.random.split(updates, config.updates))
        returns, motions = play.episodes(test, greedy(agent, trained.params), config.test_episodes)
        drawn, _ = play.episodes(test, sampled(agent, trained.params), config.test_episodes)
        untrained, before = play.episodes(test, sampled(agent, state.params), config.test_episodes)
        return {
            "params": trained.params, **history, "greedy": returns, "sampled": drawn,
            "untrained": before[:, 0], "untrained_return": untrained[0], "trained": motions[:, 0],
        }  # fmt: skip

    return run


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has two small agents."""
    if not config.quick:
        return config
    return replace(
        config, seeds=2, environments=16, updates=6, steps=32, batch_size=256, passes=1, test_episodes=10
    )


def run(config: Config, page: Page) -> None:
    """Train the agents side by side, test them, and show one of them."""
    config = effective(config)
    many = train.fit_many(make_train(config), jax.random.split(jax.random.key(config.seed), config.seeds))
    found: dict[str, Any] = {
        name: np.asarray(leaf) for name, leaf in many.results.items() if name != "params"
    }
    page.folder.save_weights(jax.tree.map(np.asarray, many.results["params"]), {})
    for update in range(config.updates):
        record = {name: found[name][:, update].mean() for name in ("return", "entropy", "critic")}
        page.folder.append_metrics({"epoch": update + 1, **record})
    _compare(config, found, page)
    _show(config, found, page)


def _compare(config: Config, found: dict[str, Any], page: Page) -> None:
    for kind, text in (("greedy", "most probable action"), ("sampled", "action drawn by the actor")):
        means = found[kind].mean(axis=1)
        page.compare(
            f"mean return of {config.test_episodes} episodes, {text}",
            means.mean(),
            f"{cartpole.LIMIT} at most" if kind == "greedy" else "",
            spread=means.std(ddof=1),
        )
        goal = f">= {config.seeds - config.seeds // 10}" if kind == "greedy" else ""
        solved = int((means >= SOLVED).sum())
        page.compare(
            f"seeds of {config.seeds} with a mean return of at least {SOLVED}, {text}", solved, goal,
            source="Gymnasium calls CartPole-v1 solved there" if goal else "",
        )  # fmt: skip


def _show(config: Config, found: dict[str, Any], page: Page) -> None:
    played = np.arange(1, config.updates + 1) * config.environments * config.steps / 1e6
    panels = {
        "Return (of each world's last episode)": (played, found["return"]),
        "Entropy of the actor (nats)": (played, found["entropy"]),
        "Critic: half its squared error": (played, found["critic"]),
    }
    levels = {
        "Return (of each world's last episode)": (SOLVED, f"solved: {SOLVED}"),
        "Entropy of the actor (nats)": (float(np.log(cartpole.ACTIONS)), "at random: ln 2"),
    }
    spread(
        page.picture("learning.png"), "Learning by playing", panels, x="million steps played", levels=levels
    )
    page.show(
        "How they learn",
        f"Every agent plays in {config.environments} worlds at once, {config.seeds * config.environments:,} "
        "in all. At first it pushes at random (entropy ln 2) and the pole falls after some twenty steps. The "
        "critic learns how many steps are still to come; what an action brings beyond that is its advantage, "
        "and the actor makes such actions more probable. The critic's error falls, rises once more when some "
        "episodes have become long and others have not, and vanishes when all last. An episode that is cut "
        "counts as one that goes on: its end says nothing against the actions before.",
        "learning.png",
    )
    best = int(found["greedy"].mean(axis=1).argmax())
    motions = {
        "before": found["untrained"][best][: int(found["untrained_return"][best])],
        "after": found["trained"][best][: int(found["greedy"][best, 0])],
    }
    cart(page.picture("cart.gif"), motions, cartpole.RAIL, every=10 if config.quick else 4)
    page.show(
        "The trained agent",
        "The same beginning, before training and after. An episode ends when the pole tilts by more than 12 "
        f"degrees or the cart leaves the rail, and is cut after {cartpole.LIMIT} steps (10 s).",
        "cart.gif",
    )
    rows = [
        (seed, found["greedy"][seed].mean(), found["greedy"][seed].min(), found["sampled"][seed].mean())
        for seed in range(config.seeds)
    ]
    columns = ("agent", "mean return, greedy", "shortest episode, greedy", "mean return, sampled")
    page.table("Each agent", columns, rows)


EXPERIMENT = Experiment("cartpole", "Balancing a pole on a cart", Config, run)
