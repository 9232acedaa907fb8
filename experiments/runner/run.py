"""Carry out one experiment: train, keep everything in its run folder, and say how it went."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, make_dataclass
from typing import Any

from experiments.runner.classifier import Classifier, effective
from experiments.runner.command_line import parse
from experiments.runner.config import RunOptions, TrainingConfig
from experiments.runner.environment import enable_compilation_cache, environment
from experiments.runner.run_folder import RunFolder

FAILED, INTERRUPTED = 1, 130


def command(experiment: Classifier, args: Sequence[str]) -> int:
    """``python -m experiments NAME [--option value ...]``."""
    fields = [("experiment", experiment.config), ("run", RunOptions)]
    description = sys.modules[experiment.build.__module__].__doc__ or ""
    chosen: Any = parse(make_dataclass("Command", fields, frozen=True), args, experiment.name, description)
    folder = RunFolder.reserve(chosen.run.runs, experiment.name, chosen.run.name)
    return carry_out(experiment, effective(chosen.experiment), folder)


def carry_out(
    experiment: Classifier, config: TrainingConfig, folder: RunFolder, progress: bool | None = None
) -> int:
    """Train one configuration into one folder; the folder is made only once the data are at hand.

    Returns:
        0; 1 when the loss was not finite; 130 when it was interrupted. In every case the folder holds the
        history so far, the last weights and a report.
    """
    import jax

    from experiments.runner.report import write_report
    from jaxnn import inspect, train

    enable_compilation_cache()
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
