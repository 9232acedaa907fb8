"""Learning curves: loss and accuracy by epoch, training beside test."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.plots.style import TEST, TRAIN, figure

PANELS = (("loss", "Cross entropy (nats)"), ("accuracy", "Accuracy"))


def curves(path: Path, title: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw the history.

    Args:
        path: the PNG file.
        title: above the panels.
        records: one mapping an epoch, with ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``;
            an epoch that was cut short lacks the last two.
    """
    from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

    epochs = [record["epoch"] for record in records]
    with figure(path, 10, 4.2) as picture:
        picture.suptitle(title)
        for axes, (name, label) in zip(picture.subplots(1, 2), PANELS, strict=True):
            series = (
                ("training", name, TRAIN),
                ("test", f"val_{name}", TEST),
            )
            for text, field, colour in series:
                values = [record.get(field, math.nan) for record in records]
                last = next((value for value in reversed(values) if math.isfinite(value)), math.nan)
                axes.plot(epochs, values, marker="o", color=colour, label=f"{text}: {last:.4f}")
            axes.set(xlabel="epoch", title=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlim(0.5, epochs[-1] + 0.5)
            if name == "loss" and any(record[name] > 0 for record in records):
                # Late epochs differ by little, and on a linear scale the first one would hide it.
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(ScalarFormatter())
                axes.yaxis.set_minor_formatter(
                    ScalarFormatter() if _narrow(axes.get_ylim()) else NullFormatter()
                )
            # Below the panel, where no curve can run through it.
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _narrow(limits: tuple[float, float]) -> bool:
    """Whether a logarithmic axis has too few powers of ten to be read without numbers between them."""
    return limits[1] / limits[0] < 10
