"""Translating sentences: subwords, batches of few shapes, three models, search, BLEU."""
