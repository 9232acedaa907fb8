"""Learning curves: loss and accuracy by epoch, training beside test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.plots.style import TEST, TRAIN, figure

PANELS = (("loss", "Cross entropy (nats)", "upper right"), ("accuracy", "Accuracy", "lower right"))


def curves(path: Path, title: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw the history.

    Args:
        path: the PNG file.
        title: above the panels.
        records: one mapping an epoch, with ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = [record["epoch"] for record in records]
    with figure(path, 9, 3.8) as picture:
        picture.suptitle(title)
        for axes, (name, label, corner) in zip(picture.subplots(1, 2), PANELS, strict=True):
            series = (
                ("training, while it learns", name, TRAIN),
                ("test, after the epoch", f"val_{name}", TEST),
            )
            for text, field, colour in series:
                values = [record[field] for record in records]
                axes.plot(
                    epochs, values, marker="o", color=colour, label=f"{text}: {values[-1]:.4f} at the end"
                )
            axes.set(xlabel="epoch", title=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            if len(epochs) == 1:
                axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
            axes.margins(y=0.12)
            axes.legend(loc=corner)
