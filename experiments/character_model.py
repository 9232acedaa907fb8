"""A character language model of Shakespeare's plays, which then writes a play of its own.

It reads a million characters, one after the other, and learns to foretell the next one. Nobody tells it what
a word, a line or a person of a play is; it finds out, because all of that helps to foretell. To write, it
draws a character with the probabilities that it foretells, reads it, and goes on. A recurrent network
remembers what it has read in its state, which is carried from piece to piece of the text, and now and then
emptied, so that it learns how to begin (back-propagation reaches back to the beginning of the piece); the
transformer looks back instead.

Run:     python -m experiments character_model
         python -m experiments character_model --model gru
Expect:  a validation loss of at most 1.55 nats a character with the LSTM
Time:    about 15 CPU minutes with the LSTM
Course:  Recurrent, convolutional and embedding networks - recurrent networks
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn as nn
from experiments.characters import words
from experiments.characters.reading import HEADS, Kind, Reader, reader
from experiments.characters.streams import streams
from experiments.data.tiny_shakespeare import Characters, decode, encode, load_tiny_shakespeare
from experiments.plots.lines import lines
from experiments.runner.config import ExperimentConfig, check_rate, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.schedule import half_cosine
from jaxnn import optim, train

SHOWN = 300  # characters of a sample while the model learns
VALIDATION_ROWS = 32
FORGET = 1 / 32  # probability that a stream begins a piece with an empty memory


@dataclass(frozen=True)
class Size:
    """What a kind of model is trained with when nothing else is said."""

    features: int
    layers: int
    learning_rate: float


SIZES = {
    "rnn": Size(512, 1, 1e-3),
    "lstm": Size(512, 1, 3e-3),
    "gru": Size(512, 1, 3e-3),
    "transformer": Size(192, 4, 2e-3),
}


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A character language model."""

    model: Kind = "lstm"
    """Simple recurrent network, long short-term memory, gated recurrent units, or transformer."""
    features: int | None = None
    """Units of a layer; by default 512, for the transformer 192."""
    layers: int | None = None
    """Layers on top of each other; by default 1, for the transformer 4."""
    learning_rate: float | None = None
    """Step size of Adam at the beginning, which falls to 0; by default one that suits the model."""
    epochs: int = 8
    """Passes over the training part."""
    rows: int = 32
    """Streams of text that are read side by side."""
    length: int = 64
    """Characters of a piece, after each of which the model learns; the transformer's are twice as long."""
    dropout: float = 0.3
    """Probability that a layer's output is dropped in training; half of it between steps of recurrence."""
    ema: float = 0.998
    """Decay of the average of the weights that is validated and that writes."""
    temperature: float = 0.8
    """Of the drawing: 1 is as foretold, below 1 is more cautious."""
    written: int = 1200
    """Characters of the text that the trained model writes."""
    prompt: str = "\n"
    """What the model's own text begins after."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "rows", "length", "written"):
            check_whole(name, getattr(self, name), least=1)
        for name in ("features", "layers"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least=1)
        check_rate("dropout", self.dropout)
        check_rate("ema", self.ema)
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature: expected a finite number of at least 0, got {self.temperature}")
        if not self.prompt:
            raise ValueError("prompt: expected at least one character, got ''")
        if self.model == "transformer" and self.size.features % (2 * HEADS):
            raise ValueError(
                f"features: expected a multiple of {2 * HEADS} for the {HEADS} heads of the transformer, got "
                f"{self.size.features}"
            )

    @property
    def size(self) -> Size:
        """What the model is trained with."""
        usual = SIZES[self.model]
        rate = usual.learning_rate if self.learning_rate is None else self.learning_rate
        return Size(self.features or usual.features, self.layers or usual.layers, rate)


def build(config: Config, characters: int) -> Reader:
    """The model that the configuration asks for."""
    size = config.size
    window = config.length
    return reader(config.model, characters, size.features, size.layers, config.dropout, window)


def piece_length(config: Config) -> int:
    """Characters of a piece."""
    return config.length * (2 if config.model == "transformer" else 1)


def make_train(config: Config) -> Callable[..., tuple[Any, list[dict[str, float]]]]:
    """Build ``train(key, text, tell) -> (averaged params, a record for each epoch)``.

    The records hold ``epoch``, ``loss`` (mean over the epoch, nats, with dropout), ``val_loss`` (nats, of
    every character of the validation part) and ``characters_per_second`` of training. ``tell(record,
    params)`` is called before the first epoch and after each.
    """
    length = piece_length(config)

    def run(
        key: jax.Array, text: Characters, tell: Callable[[dict[str, float], Any], None]
    ) -> tuple[Any, list[dict[str, float]]]:
        model = build(config, len(text.alphabet))
        objective = model.objective(FORGET)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        data = epoch_data(text.training, rng, config.rows, length)
        order = jnp.arange(len(data[0]), dtype=jnp.int32)
        steps = config.epochs * len(order) // config.rows
        rule = optax.chain(
            optax.clip_by_global_norm(1.0), optim.adam(half_cosine(config.size.learning_rate, steps))
        )
        first = jax.tree.map(lambda leaf: leaf[: config.rows], data)
        state = train.TrainState.create(objective, rule, key, first, ema=True)
        start_memory = jax.tree.map(jnp.copy, state.state)
        epoch = train.make_epoch(objective, rule, config.rows, ema=config.ema)
        validation = streams(text.validation, VALIDATION_ROWS, length)
        score, records = jax.jit(model.mean_loss), []
        tell({"epoch": 0, "val_loss": float(score(state.ema, validation))}, state.ema)
        for number in range(1, config.epochs + 1):
            start = time.perf_counter()
            state, sums = epoch(state, data, order)
            loss = float(sums["loss"].compute())
            rate = float(sums["loss"].weight) / (time.perf_counter() - start)
            record = {"epoch": number, "loss": loss, "val_loss": float(score(state.ema, validation))}
            records.append(record | {"characters_per_second": rate})
            tell(records[-1], state.ema)
            # Another beginning cuts the text at other places; the memory of its end is no use there.
            data = epoch_data(text.training, rng, config.rows, length)
            state = state._replace(state=jax.tree.map(jnp.copy, start_memory))
        return state.ema, records

    return run


def epoch_data(ids: np.ndarray, rng: np.random.Generator, rows: int, length: int) -> Any:
    """The pieces of an epoch as examples, all rows of a step after each other; it begins somewhere new.

    Returns:
        Characters ``[pieces * rows, length]`` and those that follow, ``Masked``.
    """
    begin = rng.integers(min(length, len(ids) // 2))
    pieces = streams(ids[begin : len(ids) - min(length, len(ids) // 2) + begin], rows, length)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, length), pieces)


def make_writer(config: Config, alphabet: str) -> Callable[[Any], str]:
    """Build ``write(params) -> text``: the same weights write the same text, drawn with the run's seed."""
    try:
        prompt = encode(alphabet, config.prompt)[None]
    except ValueError as error:
        raise ValueError(f"prompt: {error}") from error
    cell = nn.decoding_cell(build(config, len(alphabet)).model, prompt.shape[1] + config.written)
    key = jax.random.fold_in(jax.random.key(config.seed), 1) if config.temperature else None

    def write(params: Any) -> str:
        found = nn.generate(cell, params, prompt, config.written, key=key, temperature=config.temperature)
        return decode(alphabet, np.asarray(found.tokens)[0])

    return write


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has a small model and one epoch."""
    if not config.quick:
        return config
    return replace(config, features=16, layers=1, epochs=1, rows=8, length=16, written=60)


def run(config: Config, page: Page) -> None:
    """Train the model, let it write as it learns, and show what it wrote."""
    config = effective(config)
    play = load_tiny_shakespeare()
    text = Characters.of(play[:20_000] if config.quick else play)
    write, samples = make_writer(config, text.alphabet), {}

    def tell(record: dict[str, float], params: Any) -> None:
        page.folder.append_metrics(record)
        samples[record["epoch"]] = write(params)
        print(", ".join(f"{name} {value:.5g}" for name, value in record.items()), flush=True)
        print(f"    {samples[record['epoch']][:120]!r}", flush=True)

    wall, cpu = time.perf_counter(), time.process_time()
    params, records = make_train(config)(jax.random.key(config.seed), text, tell)
    wall, cpu = (time.perf_counter() - wall) / 60, (time.process_time() - cpu) / 60
    page.folder.save_weights(jax.tree.map(np.asarray, params), {})
    (page.folder.path / "written.txt").write_text(samples[config.epochs], encoding="utf-8")
    _compare(config, text, records, samples[config.epochs], page)
    page.compare("minutes of training, validation and writing", wall, "< 30")
    page.compare("the same in CPU minutes", cpu, "< 30")
    _show(config, records, samples, page)


def _compare(
    config: Config, text: Characters, records: list[dict[str, float]], sample: str, page: Page
) -> None:
    last = records[-1]
    goal = "<= 1.55" if config.model == "lstm" else ""
    page.compare(f"{config.model}: validation loss (nats a character)", last["val_loss"], goal)
    page.compare(f"{config.model}: training loss with dropout (nats a character)", last["loss"])
    page.compare("what knowing only how common each character is would cost (nats)", words.unigram_loss(text))
    known = decode(text.alphabet, text.training)
    page.compare("share of the written words that the training part has", words.known_share(sample, known))
    page.compare(
        "the same for the validation part, written by people",
        words.known_share(decode(text.alphabet, text.validation), known),
    )


def _show(config: Config, records: list[dict[str, float]], samples: dict[float, str], page: Page) -> None:
    epochs = [record["epoch"] for record in records]
    series = {
        label: (epochs, [record[name] for record in records])
        for label, name in (("training, with dropout", "loss"), ("validation", "val_loss"))
    }
    lines(
        page.picture("learning.png"), f"Learning to foretell the next character ({config.model})",
        [("Cross entropy of a character", series)], x="epoch", y="nats",
    )  # fmt: skip
    page.show(
        "How it learns",
        "The validation loss is that of the last tenth of the text, every character of it, by weights "
        "averaged over the last steps. Sizes and rates were tried on this part too, so that a text which "
        "nobody has looked at may cost a little more. The training loss is a mean over the epoch, during "
        "which the model gets better, and dropout handicaps it; so it may lie above.",
        "learning.png",
    )
    shown = sorted({0, 1, 2, len(epochs) // 2, len(epochs)} & set(samples))
    how = (
        f"Each text is drawn with one and the same seed, at temperature {config.temperature:g}."
        if config.temperature
        else "At temperature 0 nothing is drawn: the most probable character is taken each time."
    )
    parts = [f"{_after(number)}:\n\n{quoted(samples[number][:SHOWN])}" for number in shown[:-1]]
    page.show(
        "What it writes as it learns",
        f"{how} A model learns which characters are common, then short words and lines, then who speaks, and "
        "names.\n\n" + "\n\n".join(parts),
    )
    page.show("What it writes in the end", quoted(samples[config.epochs]))


def _after(epochs: float) -> str:
    named = {0: "Before training", 1: "After one epoch"}
    return named.get(int(epochs), f"After {epochs:.0f} epochs")


def quoted(text: str) -> str:
    """A text as a block of Markdown in which every character stands for itself."""
    fence = "````"
    return f"{fence}text\n{text.strip(chr(10))}\n{fence}"


EXPERIMENT = Experiment("character_model", "A character model of Shakespeare", Config, run)
