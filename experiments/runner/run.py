"""Carry out one experiment: train, keep everything in its run folder, and say how it went."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, make_dataclass
from typing import Any

from experiments.runner.classifier import Classifier, effective
from experiments.runner.command_line import parse
from experiments.runner.config import ExperimentConfig, RunOptions, TrainingConfig
from experiments.runner.environment import enable_compilation_cache, environment
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import typed

FAILED, INTERRUPTED = 1, 130


def command(experiment: Classifier | Experiment, args: Sequence[str]) -> int:
    """``python -m experiments NAME [--option value ...]``."""
    fields = [("experiment", experiment.config), ("run", RunOptions)]
    description = sys.modules[f"experiments.{experiment.name}"].__doc__ or ""
    chosen: Any = parse(make_dataclass("Command", fields, frozen=True), args, experiment.name, description)
    folder = RunFolder.reserve(chosen.run.runs, experiment.name, chosen.run.name)
    return carry_out(experiment, chosen.experiment, folder)


def carry_out(
    experiment: Classifier | Experiment, config: Any, folder: RunFolder, progress: bool | None = None
) -> int:
    """Carry out one experiment with one configuration into one folder.

    Returns:
        0; 1 when a loss was not finite; 130 when it was interrupted. In every case the folder holds what
        there was so far, with a report.
    """
    enable_compilation_cache()
    if isinstance(experiment, Classifier):
        return _classify(experiment, effective(config), folder, progress)
    return _fill(experiment, config, folder)


def _fill(experiment: Experiment, config: ExperimentConfig, folder: RunFolder) -> int:
    """Let an experiment fill its page, and write the page however that ends."""
    print(f"{experiment.name}: on {_device()}", flush=True)
    folder.create({"experiment": experiment.name, "config": asdict(config), **environment()})
    page = Page(folder, config.quick)
    start, stopped = time.perf_counter(), "failed"
    try:
        experiment.run(config, page)
        stopped = None
    except KeyboardInterrupt:
        stopped = "interrupted"
    finally:
        seconds = time.perf_counter() - start
        remarks = [f"**Stopped: {stopped}.**"] if stopped else []
        page.write(
            experiment.title, typed(experiment, config), [*remarks, f"{seconds:.1f} s on {_device()}."]
        )
        folder.write_result({"stopped": stopped, "seconds": seconds, **page.result()})
    page.tell()
    print(f"run folder: {folder.path} (start with report.md)")
    return INTERRUPTED if stopped else 0


def _classify(
    experiment: Classifier, config: TrainingConfig, folder: RunFolder, progress: bool | None
) -> int:
    """Train a classifier; its folder is made only once the data are at hand."""
    import jax

    from experiments.runner.report import write_report
    from jaxnn import inspect, train

    data = experiment.data(config)
    run = experiment.make_train(config)
    print(
        f"{experiment.name}: {len(data.x):,} training and {len(data.x_test):,} test pictures, on {_device()}"
    )
    model = experiment.build(config)
    print(inspect.summary(model, jax.ShapeDtypeStruct((1, *data.x.shape[1:]), data.x.dtype)))

    folder.create({"experiment": experiment.name, "config": asdict(config), **environment()})
    start = time.perf_counter()
    result = run(jax.random.key(config.seed), data, callbacks=(folder.append_metrics,), progress=progress)
    seconds = time.perf_counter() - start

    folder.save_weights(result.params, result.state)
    test = {"loss": result.history.last.get("val_loss"), "accuracy": result.history.last.get("val_accuracy")}
    if None in test.values():  # the last epoch was cut short, before its test
        objective, pictures = experiment.objective(config), (data.x_test, data.y_test)
        test = train.evaluate(objective, result.params, result.state, pictures)
    outcome = {
        "stopped": result.stopped,
        "epochs": len(result.history.records),
        "test_loss": test["loss"],
        "test_accuracy": test["accuracy"],
        "seconds": seconds,
    }
    write_report(experiment, config, folder, data, result, outcome)
    folder.write_result(outcome)
    return _tell(folder, outcome)


def _tell(folder: RunFolder, outcome: dict[str, Any]) -> int:
    epochs, stopped = outcome["epochs"], outcome["stopped"]
    print(
        f"test accuracy {outcome['test_accuracy']:.4f}, test loss {outcome['test_loss']:.4f} nats "
        f"after {epochs} epoch{'s' if epochs > 1 else ''} in {outcome['seconds']:.1f} s"
    )
    if stopped:
        print(
            f"stopped ({stopped}); the history so far and the last weights are in {folder.path}",
            file=sys.stderr,
        )
    print(f"run folder: {folder.path} (start with report.md)")
    if stopped == "interrupted":
        return INTERRUPTED
    return FAILED if stopped and stopped.startswith("non-finite") else 0


def _device() -> str:
    import jax

    device = jax.devices()[0]
    return device.platform if device.platform == "cpu" else f"{device.platform} ({device.device_kind})"
