"""BLEU (Papineni et al., 2002) by sacrebleu, whose signature says how it was computed."""

from collections.abc import Sequence


def bleu(translations: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """The score, 0 to 100, of raw translations beside raw references, and the signature."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    score = metric.corpus_score(list(translations), [list(references)]).score
    return score, str(metric.get_signature())
