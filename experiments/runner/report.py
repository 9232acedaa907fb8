"""``report.md``: how a run went, for a reader who was not there."""

from dataclasses import asdict
from typing import Any

import jax
import numpy as np

from experiments import plots
from experiments.data.pictures import Pictures
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig
from experiments.runner.run_folder import RunFolder
from jaxnn import train


def write_report(
    experiment: Classifier,
    config: TrainingConfig,
    folder: RunFolder,
    data: Pictures,
    result: train.Result,
    outcome: dict[str, Any],
) -> None:
    """Draw the pictures and write the page that shows them."""
    records = result.history.records
    logits = train.predict(experiment.build(config), result.params, result.state, data.x_test)
    probabilities = np.asarray(jax.nn.softmax(logits))
    title = experiment.title
    pictures = []
    if records:
        plots.curves(folder.path / "curves.png", title, records)
        pictures.append(("Learning curves", "curves.png", "Training while it learns, test after each epoch."))
    wrong = plots.mistakes(folder.path / "mistakes.png", title, data.x_test, data.y_test, probabilities)
    if wrong:
        text = "What it is (green), what the network says (orange) and how sure it is."
        pictures.append(
            (f"Misclassified test pictures ({wrong} of {len(data.x_test):,})", "mistakes.png", text)
        )
    heading = f"{title}: test pictures"
    plots.confusion(
        folder.path / "confusion.png", heading, data.y_test, probabilities.argmax(1), data.classes
    )
    pictures.append(("Confusion matrix", "confusion.png", "Counts; the colour is the share of the row."))
    kernel = _first_filters(result.params)
    if kernel is not None:
        plots.filters(folder.path / "filters.png", f"{title}: first-layer filters", kernel)
        pictures.append(("First-layer filters", "filters.png", "One common scale for all."))
    text = "\n".join(_page(experiment, config, records, outcome, pictures))
    (folder.path / "report.md").write_text(text, encoding="utf-8")


def _page(
    experiment: Classifier,
    config: TrainingConfig,
    records: list[dict[str, Any]],
    outcome: dict[str, Any],
    pictures: list[tuple[str, str, str]],
) -> list[str]:
    lines = [f"# {experiment.title}", "", f"`{_command(experiment, config)}`", ""]
    if outcome["stopped"]:
        lines += [f"**Stopped: {outcome['stopped']}.**", ""]
    if records:
        last = records[-1]
        steady = np.median([record["seconds"] for record in records[1:] or records])
        lines += [
            "| test accuracy | test loss (nats) | training accuracy | epochs | seconds | seconds per epoch |",
            "|---|---|---|---|---|---|",
            f"| **{last['val_accuracy']:.4f}** | {last['val_loss']:.4f} | {last['accuracy']:.4f} "
            f"| {len(records)} | {outcome['seconds']:.1f} | {steady:.2f} |",
            "",
        ]
    for heading, name, text in pictures:
        lines += [f"## {heading}", "", text, "", f"![{heading}]({name})", ""]
    lines += ["## Epoch by epoch", "", "| epoch | loss | accuracy | test loss | test accuracy | seconds |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {r['epoch']} | {r['loss']:.4f} | {r['accuracy']:.4f} | {r['val_loss']:.4f} "
        f"| {r['val_accuracy']:.4f} | {r['seconds']:.2f} |"
        for r in records
    ]
    lines += [
        "",
        "Configuration, versions and device are in `config.json`, the weights in `params.safetensors`.",
        "",
    ]
    return lines


def _command(experiment: Classifier, config: TrainingConfig) -> str:
    """The command that gives this run again: the options that differ from the defaults."""
    words = ["python -m experiments", experiment.name]
    defaults = asdict(experiment.config())
    for name, value in asdict(config).items():
        if value != defaults[name]:
            option = f"--{name.replace('_', '-')}"
            words.append(option if value is True else f"{option} {value}")
    return " ".join(words)


def _first_filters(params: dict[str, Any]) -> np.ndarray | None:
    """The kernel of the first convolution, where there is one over a single channel."""
    kernel = params.get("conv_0", {}).get("kernel")
    return (
        np.asarray(kernel) if kernel is not None and np.ndim(kernel) == 4 and kernel.shape[2] == 1 else None
    )
