"""What the page of a translation run shows: scores, curves, examples, and what the decoder looks at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.data.multi30k import Parallel
from experiments.plots.attention_maps import attention_maps
from experiments.plots.lines import lines
from experiments.runner.page import Page
from experiments.translator import batches
from experiments.translator.bleu import bleu
from experiments.translator.prepared import Prepared

EXAMPLES = 6
# What the decoder of each model knows of the sentence.
KNOWS = {
    "plain": "Without attention all that the decoder knows of a sentence is one vector, however long the "
    "sentence is. What that cannot hold it makes up, in fluent English.",
    "attention": "With attention the decoder looks the words up when it needs them.",
    "transformer": "In the transformer attention does everything: every piece looks at all others of its "
    "sentence, and the decoder at those of the German one.",
}


@dataclass(frozen=True)
class Outcome:
    """What was trained and what it translates.

    Attributes:
        records: of each model, one for each epoch.
        found: of each model by the number of beams, its translations of the validation part.
        beams: how many beginnings the wider search follows.
        validation: the sentences and a person's translations.
    """

    records: dict[str, list[dict[str, float]]]
    found: dict[str, dict[int, list[str]]]
    beams: int
    validation: Parallel


def compare(outcome: Outcome, data: Prepared, page: Page) -> None:
    """BLEU, losses and speed of each model, and a word on the data."""
    records, found, validation = outcome.records, outcome.found, outcome.validation
    signature = ""
    for name in records:
        goal = ">= 30" if name == "attention" else ""
        for beams in sorted(found[name]):
            score, signature = bleu(found[name][beams], validation.target)
            text = f"{beams} beams" if beams > 1 else "most probable piece"
            page.compare(f"{name}: BLEU, {text}", score, goal if beams == outcome.beams else "")
        page.compare(f"{name}: cross entropy of validation pieces (nats)", records[name][-1]["val_loss"])
        page.compare(f"{name}: training pieces a second", records[name][-1]["pieces_per_second"])
    shapes = ", ".join(f"{b.batch_size} x {b.source.shape[1]}" for b in data.training)
    page.show(
        "Data",
        f"{sum(len(b.source) for b in data.training):,} training pairs in {data.source.size:,} German and "
        f"{data.target.size:,} English subwords, learned from the training part. Batches (pairs "
        f"x pieces) have these shapes, each compiled once: {shapes}; {batches.padding(data.training):.0%} "
        "of their positions are padding. BLEU by sacrebleu beside the raw references of all "
        f"{len(validation.target):,} validation pairs: `{signature}`.",
    )


def show(outcome: Outcome, page: Page) -> None:
    """Learning curves, BLEU by the length of the sentence, and examples."""
    records, found, validation = outcome.records, outcome.found, outcome.validation
    epochs = np.arange(1, 1 + len(next(iter(records.values()))))
    panels = [
        (heading, {name: (epochs, [record[field] for record in records[name]]) for name in records})
        for heading, field in (
            ("Training: smoothed cross entropy (nats)", "loss"),
            ("Validation: cross entropy (nats)", "val_loss"),
            ("Validation: pieces foretold right", "val_accuracy"),
        )
    ]
    lines(page.picture("learning.png"), "Learning to translate", panels, x="epoch")
    page.show(
        "How they learn",
        "The training loss counts a smoothed target, which costs something even where the model is right; "
        "the validation loss is that of the true pieces of all pairs that fit into the batches, with "
        "averaged weights. BLEU counts every pair.",
        "learning.png",
    )
    order = np.argsort([len(sentence.split()) for sentence in validation.source], kind="stable")
    thirds = np.array_split(order, 3)
    rows = []
    for name in records:
        scores = []
        for third in thirds:
            chosen = found[name][outcome.beams], validation.target
            scores.append(bleu(*([side[i] for i in third] for side in chosen))[0])
        rows.append((name, *scores))
    page.table(
        "Short and long sentences",
        ("BLEU", "shortest third", "middle third", "longest third"),
        rows,
        "\n\n".join(KNOWS[name] for name in records),
    )
    rows = [
        (
            validation.source[i],
            validation.target[i],
            *(found[name][outcome.beams][i] for name in records),
        )
        for i in range(0, len(order), max(1, len(order) // EXAMPLES))
    ]
    page.table("Translations", ("German", "a person's", *records), rows)


def show_attention(maps: Sequence[tuple[list[str], list[str], np.ndarray]], page: Page) -> None:
    """Draw what the decoder looks at; a map is the pieces written, those read, and ``[written, read]``."""
    attention_maps(page.picture("attention.png"), "What the decoder looks at", maps)
    page.show(
        "Attention",
        "A row for each piece that the decoder writes: how much it looks at each piece of the German "
        "sentence. The dark cells follow the order of the words, and leave it where English puts a word "
        "elsewhere.",
        "attention.png",
    )
