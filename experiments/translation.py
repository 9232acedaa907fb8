"""Translate German into English: encoder and decoder without and with attention, and a transformer.

29,000 captions of pictures with their translations (Multi30k), in subwords. Each model learns to choose the
next piece of the translation from the sentence and the true pieces before it (teacher forcing), and then
translates by its own choices: the most probable piece at a time, or a search that follows the five best
beginnings. BLEU (Papineni et al., 2002) counts the runs of one to four words that a translation shares with
a person's.

Run:     python -m experiments translation
         python -m experiments translate runs/translation/RUN "Ein Hund rennt."
Expect:  BLEU of at least 30 on the validation part with attention (41 was reached), about 20 without
Time:    an epoch takes about 3 CPU minutes with attention; three models of ten epochs are trained
Course:  Recurrent, convolutional and embedding networks - translation
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data.multi30k import load_multi30k
from experiments.runner.config import ExperimentConfig, check_rate, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.run_folder import RunFolder
from experiments.translator import batches, recurrent, report, search, transformer
from experiments.translator.prepared import Prepared, prepare
from experiments.translator.subwords import BEGIN, END, PAD, Subwords, padded
from jaxnn import losses, metrics, optim, train

LENGTHS = (12, 16, 20, 28, 48)  # of the batches, in pieces
MODELS = ("plain", "attention", "transformer")
SMOOTHING = 0.1


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Three translators."""

    model: Literal["all", "plain", "attention", "transformer"] = "all"
    """Which to train: without attention, with it, of attention alone."""
    epochs: int = 10
    """Passes over the training pairs."""
    pieces: int = 4000
    """Subwords of each language, at most."""
    features: int = 256
    """Size of embeddings, states and blocks."""
    blocks: int = 3
    """Blocks of the transformer's encoder, and of its decoder."""
    heads: int = 4
    """Heads of each of the transformer's attentions."""
    dropout: float = 0.3
    """Probability of dropout in training."""
    positions: int = 1536
    """Positions of a side in a batch: a batch of short sentences holds more of them."""
    learning_rate: float = 2e-3
    """Highest step size of Adam; it rises for the first tenth of the steps and then falls to 0."""
    ema: float = 0.998
    """Decay of the average of the weights that translates."""
    beams: int = 5
    """Beginnings that the search follows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "features", "blocks", "heads", "positions", "beams"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("pieces", self.pieces, least=300)
        check_rate("dropout", self.dropout)
        check_rate("ema", self.ema)
        if self.model not in ("all", *MODELS):
            raise ValueError(f"model: expected all, {', '.join(MODELS)}, got {self.model!r}")
        # The transformer is built after hours of training the others.
        if "transformer" in self.models and self.features % self.heads:
            raise ValueError(
                f"features: expected a multiple of heads = {self.heads} for the transformer, got "
                f"{self.features}"
            )

    @property
    def models(self) -> tuple[str, ...]:
        """The models to train."""
        return MODELS if self.model == "all" else (self.model,)


def build(
    config: Config, name: str, source_size: int, target_size: int
) -> tuple[nn.Layer, Callable[[int], nn.Cell]]:
    """One of the models, and its cell by the length that it must have room for."""
    sizes = source_size, target_size, config.features, config.dropout
    if name == "transformer":
        model = transformer.build(*sizes, config.blocks, config.heads)
        return model, lambda max_length: search.stepped(model, max_length)
    model, cell = recurrent.build(*sizes, attends=name == "attention")
    return model, lambda _: cell


def objective_of(model: nn.Layer) -> train.Objective:
    """Cross entropy (nats) of each real piece, smoothed in training, with the accuracy."""
    smooth = train.supervised(model, smoothed, metrics=(metrics.accuracy,))
    plain = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))

    def evaluate(params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False) -> Any:
        chosen = smooth if train else plain
        return chosen.evaluate(params, state, batch, key=key, train=train)

    return train.Objective(smooth.init, evaluate)


def smoothed(logits: Any, labels: Any) -> Any:
    """Cross entropy with a tenth of the probability given to all pieces alike."""
    return losses.cross_entropy(logits, labels, label_smoothing=SMOOTHING)


def make_train(config: Config) -> Callable[..., tuple[Any, list[dict[str, float]]]]:
    """Build ``train(key, model, training, validation, tell) -> (averaged params, a record for each epoch)``.

    ``training`` and ``validation`` are lists of buckets; ``tell(record)`` is called after each epoch.
    """

    def run(
        key: jax.Array,
        model: nn.Layer,
        training: Sequence[batches.Bucket],
        validation: Sequence[batches.Bucket],
        tell: Callable[[dict[str, float]], None] = lambda _: None,
    ) -> tuple[Any, list[dict[str, float]]]:
        objective = objective_of(model)
        rule = optim.adam(warmed(config.learning_rate, config.epochs * batches.steps_of(training)), b2=0.98)
        step = jax.jit(train.make_step(objective, rule, ema=config.ema), donate_argnums=0)
        score = jax.jit(lambda params, batch: objective.evaluate(params, {}, batch)[0])
        first = training[0].batch(np.arange(1))
        state = train.TrainState.create(objective, rule, key, first, ema=True)
        rng, records = np.random.default_rng(np.asarray(jax.random.key_data(key))), []
        for epoch in range(config.epochs):
            start, sums = time.perf_counter(), []
            for batch in batches.epoch(training, rng):
                state, record = step(state, batch)
                sums.append(record["loss"])
            total, pieces = (float(sum(getattr(s, part) for s in sums)) for part in ("total", "weight"))
            seconds = time.perf_counter() - start
            record = {"epoch": epoch + 1, "loss": total / pieces, "pieces_per_second": pieces / seconds}
            terms = [score(state.ema, batch) for bucket in validation for batch in bucket.all()]
            seen = [metrics.Mean.of(t.values, t.weights) for t in terms]
            record["val_loss"] = _mean(seen)
            record["val_accuracy"] = _mean([t.aux["accuracy"] for t in terms])
            records.append(record)
            tell(record)
        return state.ema, records

    return run


def _mean(parts: Sequence[metrics.Mean]) -> float:
    """The mean over all parts."""
    return float(sum(part.total for part in parts) / sum(part.weight for part in parts))


def warmed(peak: float, steps: int) -> Callable[[Any], Any]:
    """A step size that rises along a line for a tenth of ``steps``, and falls along a line to 0."""
    rise = max(1.0, steps / 10)

    def rate(step: Any) -> Any:
        now = jnp.asarray(step, jnp.float32) + 1
        return peak * jnp.minimum(now / rise, jnp.maximum(steps + 1 - now, 0) / max(1.0, steps + 1 - rise))

    return rate


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has one small model and one epoch."""
    if not config.quick:
        return config
    model = "attention" if config.model == "all" else config.model
    return replace(
        config, model=model, epochs=1, pieces=400, features=16, blocks=1, heads=2, positions=512, beams=2
    )


def lengths_of(config: Config) -> tuple[int, ...]:
    """Lengths of the batches, in pieces."""
    return (32,) if config.quick else LENGTHS


def run(config: Config, page: Page) -> None:
    """Train the models, translate the validation part with each, and compare."""
    config = effective(config)
    training, validation = load_multi30k()
    if config.quick:
        training, validation = training.head(200), validation.head(8)
    data = prepare(training, validation, config.pieces, lengths_of(config), config.positions)
    page.folder.path.joinpath("source.model").write_bytes(data.source.model)
    page.folder.path.joinpath("target.model").write_bytes(data.target.model)
    params, records, found = {}, {}, {}
    for name in config.models:
        model, cell = build(config, name, data.source.size, data.target.size)

        def tell(record: dict[str, float], name: str = name) -> None:
            page.folder.append_metrics({"model": name, **record})
            print(f"{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in record.items()), flush=True)

        key = jax.random.fold_in(jax.random.key(config.seed), MODELS.index(name))
        trained, records[name] = make_train(config)(key, model, data.training, data.validation, tell)
        params[name] = jax.tree.map(np.asarray, trained)
        page.folder.save_weights(params, {})
        translator = search.Translator(cell, params[name], data.source, data.target, lengths_of(config))
        found[name] = {beams: translator(validation.source, beams) for beams in (1, config.beams)}
    outcome = report.Outcome(records, found, config.beams, validation)
    report.compare(outcome, data, page)
    report.show(outcome, page)
    if "attention" in params:
        translations = found["attention"][config.beams]
        lengths = [len(data.source.encode(sentence)) for sentence in validation.source]
        chosen = [i for i, length in enumerate(lengths) if 8 <= length <= 14 and translations[i]][:2]
        read = [(validation.source[i], translations[i]) for i in chosen]
        maps = [looks(config, data, params["attention"], *pair) for pair in read]
        if maps:
            report.show_attention(maps, page)


def looks(
    config: Config, data: Prepared, params: Any, sentence: str, translation: str
) -> tuple[list[str], list[str], np.ndarray]:
    """Pieces of the translation, pieces of the sentence, and what the first looked at ``[written, read]``."""
    read, written = [*data.source.encode(sentence), END], [*data.target.encode(translation), END]
    model, _ = build(config, "attention", data.source.size, data.target.size)
    source = padded([read], len(read))
    inputs = padded([[BEGIN, *written[:-1]]], len(written)), nn.Masked(source, source != PAD)
    weights = recurrent.attention_weights(model, params, inputs)[0]
    return data.target.pieces(written), data.source.pieces(read), weights


def load(folder: RunFolder, model: str | None = None) -> tuple[search.Translator, Config]:
    """A trained translator: ``model``, or that of the least validation loss.

    Raises:
        ValueError: the run has not trained that model.
    """
    config = effective(Config(**folder.read_json("config.json")["config"]))
    last = {record["model"]: record["val_loss"] for record in folder.read_metrics()}
    chosen = model or min(last, key=last.__getitem__)
    params = folder.load_weights()[0]
    if chosen not in params:
        raise ValueError(f"{folder.path}: it has not trained {chosen!r}; it has {', '.join(sorted(params))}")
    source, target = (Subwords.load(folder.path / f"{side}.model") for side in ("source", "target"))
    _, cell = build(config, chosen, source.size, target.size)
    return search.Translator(cell, params[chosen], source, target, lengths_of(config)), config


EXPERIMENT = Experiment("translation", "Translating German into English", Config, run)
