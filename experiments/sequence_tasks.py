"""The five kinds of sequence task, each learned: one to one, one to many, many to one, many to many twice.

A picture and its digit; a picture and the name of its digit, letter by letter; the rows of a picture and its
digit; letters that are run together, and for each whether a word ends there; a number in words and then its
digits. One cell, applied again and again, reads and writes sequences of any length; the kinds differ in where
one feeds it and where one listens. Besides: how many parameters the cells have, that scanning is unrolling,
and which cells remember the first of many symbols.

Run:     python -m experiments sequence_tasks
Expect:  0.95 of digits right, at once and by rows; 0.9 of names, 0.95 of numbers; for 0.92 of letters it is
         right whether a word ends there (never saying so is right for 0.76)
Time:    about 2 CPU minutes
Course:  Recurrent, convolutional and embedding networks - recurrent networks
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data.digits import load_digits
from experiments.data.tiny_shakespeare import load_tiny_shakespeare
from experiments.plots.lines import lines
from experiments.plots.spread import spread
from experiments.plots.unrolled import Unrolled, unrolled
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.schedule import half_cosine
from experiments.sequences import memory, tasks
from jaxnn import losses, optim, train

COURSE = "Recurrent, convolutional and embedding networks"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Five small tasks."""

    seeds: int = 3
    """Trainings of each task, each from its own seed."""
    features: int = 64
    """Units of a layer in the five tasks."""
    batch_size: int = 32
    """Examples in a batch of the five tasks."""
    learning_rate: float = 5e-3
    """Step size of Adam at the beginning of the five tasks, which falls to 0."""
    distance: int = 40
    """Symbols between the one to be remembered and the question."""
    steps: int = 400
    """Steps of learning to remember."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "features", "batch_size", "distance", "steps"):
            check_whole(name, getattr(self, name), least=1)


def make_tasks(config: Config) -> list[tasks.Task]:
    """The five, with their data."""
    pictures, words = load_digits(), plain_words(load_tiny_shakespeare())
    if config.quick:
        pictures, words = pictures.head(64, 16), words[:4_000]
    few = 64 if config.quick else 3_000
    made = [
        lambda: tasks.one_to_one(pictures, config.features),
        lambda: tasks.one_to_many(pictures, config.features),
        lambda: tasks.many_to_one(pictures, config.features),
        lambda: tasks.aligned(words, few, max(few // 6, 8), 50, config.features),
        lambda: tasks.encoder_decoder(few, max(few // 3, 8), config.features),
    ]
    return [make() for make in (made[:1] + made[-1:] if config.quick else made)]


def plain_words(text: str) -> str:
    """A text in small letters, with single blanks and without anything else."""
    letters = "".join(letter if letter.isalpha() else " " for letter in text.lower().replace("'", ""))
    return " ".join(letters.split())


def make_train(config: Config, task: tasks.Task, epochs: int) -> Callable[..., tuple[Any, Any]]:
    """Build ``train(key, None) -> (answers to the test, loss by epoch [epochs])``, a pure function."""
    count = len(jax.tree.leaves(task.data)[0])
    batch_size = min(config.batch_size, count)
    objective = train.supervised(task.model, losses.cross_entropy)
    rule = optim.adam(half_cosine(config.learning_rate, epochs * -(-count // batch_size)))
    epoch = train.make_epoch(objective, rule, batch_size)

    def run(key: Any, hyper: None = None) -> tuple[Any, Any]:
        del hyper
        data = jax.tree.map(jnp.asarray, task.data)
        state = train.TrainState.create(objective, rule, key, data)

        def one(state: train.TrainState, _: None) -> tuple[train.TrainState, Any]:
            state, record = epoch(state, data)
            return state, record["loss"].compute()

        state, history = jax.lax.scan(one, state, length=epochs)
        return task.answer(state.params, task.test[0]), history

    return run


def cell_sizes(inputs: int, hidden: int) -> list[tuple[str, str, int, int]]:
    """Name, formula, its value and the number of parameters of each cell."""
    n, h = inputs, hidden
    rows = (
        ("simple RNN", "(n + h) h + h", (n + h) * h + h, nn.simple_rnn_cell(h)),
        ("LSTM", "4 ((n + h) h + h)", 4 * ((n + h) * h + h), nn.lstm_cell(h)),
        ("GRU, original", "3 ((n + h) h + h)", 3 * ((n + h) * h + h), nn.gru_cell(h, form="original")),
        ("GRU, reset after", "3 ((n + h) h + h) + h", 3 * ((n + h) * h + h) + h, nn.gru_cell(h)),
    )
    spec, key = jax.ShapeDtypeStruct((1, n), jnp.float32), jax.random.key(0)

    def counted(cell: nn.Cell) -> int:
        made = jax.eval_shape(lambda key: cell.init(key, jnp.zeros(spec.shape, spec.dtype)), key)
        return sum(leaf.size for leaf in jax.tree.leaves(made))

    return [(name, formula, value, counted(cell)) for name, formula, value, cell in rows]


def unrolling_difference(key: Any) -> Any:
    """Largest difference between an LSTM scanned over a sequence and its cell, step after step."""
    of_params, of_x = jax.random.split(key)
    x, cell = jax.random.normal(of_x, (2, 9, 3)), nn.lstm_cell(5)
    params = cell.init(of_params, x[:, 0])
    scanned, _ = nn.rnn(cell).apply(params, {}, x)
    carry, outputs = cell.init_carry(params, x[:, 0]), []
    for time in range(x.shape[1]):
        carry, y = cell.step(params, carry, x[:, time])
        outputs.append(y)
    return jnp.max(jnp.abs(jnp.stack(outputs, axis=1) - scanned))


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has small layers and few examples."""
    if not config.quick:
        return config
    return replace(config, seeds=1, features=8, distance=5, steps=10)


def run(config: Config, page: Page) -> None:
    """Learn the five tasks, count the cells, and ask what they remember."""
    config = effective(config)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    rows, histories, five = [], {}, make_tasks(config)
    for task in five:
        many = train.fit_many(make_train(config, task, 1 if config.quick else task.epochs), keys)
        answers, history = (np.asarray(leaf) for leaf in many.results)
        scores = np.array([task.score(answer, task.test[1]) for answer in answers])
        what = f"{task.kind}: {task.scored} right, {task.reads} to {task.writes}"
        spread_of = scores.std(ddof=1) if len(scores) > 1 else None
        page.compare(what, scores.mean(), f">= {task.goal}", spread=spread_of)
        if "aligned" in task.kind:
            page.compare("the same if no word were ever said to end", (np.asarray(task.test[1]) == 0).mean())
        sizes = [len(jax.tree.leaves(part)[0]) for part in (task.data, task.test)]
        rows.append((task.kind, task.reads, task.writes, *sizes, scores.mean()))
        histories[task.kind] = np.linspace(0, 1, history.shape[1] + 1)[1:], history.mean(axis=0)
    _show(five, rows, histories, page)
    _show_cells(config, page)
    _show_memory(config, keys, page)
    page.correct(
        f"{COURSE}, GRU",
        "the reset gate replaces the output and the forget gate",
        "the update gate joins input and forget gate; the reset gate hides the old state from the candidate",
    )


def _show(five: Sequence[tasks.Task], rows: list[Any], histories: dict[str, Any], page: Page) -> None:
    unrolled(page.picture("kinds.png"), "Five kinds of sequence task", [drawn(task) for task in five])
    page.show(
        "The five kinds",
        "A column is a step in time: below what is read, in the middle the state, handed on to the right, "
        "above what is written. Where a word ends depends on the letters that follow, so the aligned task is "
        "read backwards too. The symbols are those of a test example.",
        "kinds.png",
    )
    head = ("kind", "reads", "writes", "training examples", "test examples", "share right")
    page.table(
        "What is learned", head, rows,
        "Written sequences are the model's own: each symbol is its choice given those it chose before, and "
        "counts only if the sequence is right from the first symbol to the end.",
    )  # fmt: skip
    lines(
        page.picture("learning.png"), "Learning", [("Training loss (nats a symbol)", histories)],
        x="share of the training", log="y", width=8,
    )  # fmt: skip
    page.show("How they learn", "Means over the seeds.", "learning.png")


def drawn(task: tasks.Task) -> Unrolled:
    """An example of a task, spread over the steps at which it is read and written."""
    read, wrote = (list(part) for part in task.example)
    if "encoder" in task.kind:
        read, wrote = read + [""] * len(wrote), [""] * len(read) + wrote
    elif len(wrote) > len(read):
        read += [""] * (len(wrote) - len(read))
    else:
        wrote = [""] * (len(read) - len(wrote)) + wrote
    return Unrolled(task.kind, read, wrote, both="aligned" in task.kind)


def _show_cells(config: Config, page: Page) -> None:
    sizes = cell_sizes(28, 128)
    for name, formula, value, counted in sizes:
        page.compare(f"{name} cell: parameters, n = 28, h = 128", counted, value, source=formula)
    page.compare(
        "scan and unrolled loop: largest difference",
        jax.jit(unrolling_difference)(jax.random.key(config.seed)),
        0,
    )


def _show_memory(config: Config, keys: Any, page: Page) -> None:
    steps, panels = np.arange(1, config.steps + 1), {}
    for kind in list(memory.CELLS)[: 1 if config.quick else None]:
        learn = memory.make_train(kind, config.distance, 32, config.steps, 64)
        accuracy = np.asarray(train.fit_many(learn, keys).results)
        width = max(1, config.steps // 40)
        smooth = np.stack([np.convolve(row, np.ones(width) / width, "valid") for row in accuracy])
        panels[kind] = steps[width - 1 :], smooth
        page.compare(
            f"{kind}: the first symbol of {config.distance + 1} remembered, at the end",
            smooth[:, -1].mean(),
            spread=smooth[:, -1].std(ddof=1) if len(smooth) > 1 else None,
        )
    level = dict.fromkeys(panels, (1 / memory.SYMBOLS, "guessing"))
    spread(
        page.picture("memory.png"),
        "Which symbol came first? Share of right answers",
        panels,
        x="step",
        levels=level,
    )
    page.show(
        "Long-distance dependencies",
        f"A sequence of {config.distance + 1} random symbols is read; then the first one is asked for. To "
        "learn it, the gradient has to come back through every step, and what has to be kept must not be "
        "overwritten. The simple network begins with a matrix that keeps lengths, so that it may learn it, "
        "or may not, by luck of the draw. An LSTM has gates to keep things by, but one whose forget gates "
        "begin at sigmoid(1) = 0.73 keeps nothing over so many steps until it has found out how. With a bias "
        "of 4 they begin at 0.98, and the symbol is still there when the question comes.",
        "memory.png",
    )


EXPERIMENT = Experiment("sequence_tasks", "Five kinds of sequence task", Config, run)
