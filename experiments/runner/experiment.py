"""What an experiment consists of, a configuration, and a function that fills a page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.runner.config import ExperimentConfig
from experiments.runner.page import Page


@dataclass(frozen=True)
class Experiment:
    """An experiment of a file of its own.

    Attributes:
        name: of the experiment and of its file.
        title: a heading for its report.
        config: its configuration, a frozen dataclass.
        run: ``(config, page) -> None``, which computes everything and puts it on the page. Where training is
            the matter, it calls the file's own pure ``make_train(config) -> train(key, hyper)``.
    """

    name: str
    title: str
    config: type[ExperimentConfig]
    run: Callable[[Any, Page], None]
