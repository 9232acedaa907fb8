"""What an experiment on pictures consists of, and the pure function that trains it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import optax

import jaxnn as nn
from experiments.data.pictures import Pictures
from experiments.runner.config import TrainingConfig
from jaxnn import losses, metrics, train

QUICK = (1024, 256)


@dataclass(frozen=True)
class Classifier:
    """An experiment that sorts pictures into classes.

    Attributes:
        name: of the experiment and of its file.
        title: a heading for its report.
        config: its configuration, a frozen dataclass.
        load: its data.
        build: ``config -> model``, from ``[batch, height, width]`` to logits ``[batch, classes]``.
        optimizer: ``config -> update rule``.
        see: a drawing, float ``[height, width]`` with ink 1 and paper 0, as a picture of this data set.
        quick: numbers of training and test pictures of a quick run.
        corrections: errors of the courses, for the report: where, what stands there, what is right.
    """

    name: str
    title: str
    config: type[TrainingConfig]
    load: Callable[[], Pictures]
    build: Callable[[Any], nn.Layer]
    optimizer: Callable[[Any], optax.GradientTransformation]
    see: Callable[[np.ndarray], np.ndarray]
    quick: tuple[int, int] = QUICK
    corrections: tuple[tuple[str, str, str], ...] = ()

    def objective(self, config: TrainingConfig) -> train.Objective:
        """Cross entropy (nats) of the model's logits, with the accuracy."""
        return train.supervised(self.build(config), losses.cross_entropy, metrics=(metrics.accuracy,))

    def make_train(self, config: TrainingConfig) -> Callable[..., train.Result]:
        """Build ``train(key, data, callbacks=(), progress=None) -> Result``.

        The result depends on nothing but the configuration, the key and the data.
        """
        objective, optimizer = self.objective(config), self.optimizer(config)

        def run(
            key: jax.Array,
            data: Pictures,
            callbacks: tuple[Callable[..., None], ...] = (),
            progress: bool | None = None,
        ) -> train.Result:
            return train.fit(
                objective,
                optimizer,
                (data.x, data.y),
                epochs=config.epochs,
                batch_size=config.batch_size,
                key=key,
                validation=(data.x_test, data.y_test),
                ema=config.ema or None,
                callbacks=callbacks,
                progress=progress,
            )

        return run

    def data(self, config: TrainingConfig) -> Pictures:
        """The data, or a small part of it for a quick run.

        Raises:
            ValueError: there are fewer training examples than a batch holds.
        """
        data = self.load()
        data = data.head(*self.quick) if config.quick else data
        if config.batch_size > len(data.x):
            raise ValueError(
                f"batch_size: {config.batch_size} is more than the {len(data.x)} training examples; "
                f"choose at most that many"
            )
        return data


def effective(config: TrainingConfig) -> TrainingConfig:
    """The configuration as it is carried out: a quick run has one epoch."""
    return replace(config, epochs=1) if config.quick else config
