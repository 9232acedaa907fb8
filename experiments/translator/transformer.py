"""Encoder and decoder of attention alone (Vaswani et al., 2017, arXiv:1706.03762), norms before sublayers."""

from typing import Any

import jaxnn as nn


def build(
    source_size: int, target_size: int, features: int, rate: float, blocks: int, heads: int
) -> nn.Layer:
    """A layer from ``(target ids [batch, time], Masked(source ids))`` to logits ``[batch, time, size]``.

    Args:
        source_size: pieces of the source language.
        target_size: pieces of the target language.
        features: of embeddings and blocks.
        rate: probability of dropout.
        blocks: of the encoder, and of the decoder.
        heads: of each attention.
    """

    def embedded(size: int) -> nn.Layer:
        return nn.chain(
            nn.embedding(size, features), lambda x: x * features**0.5,
            nn.positional_embedding(kind="sinusoidal"), nn.dropout(rate),
        )  # fmt: skip

    def stack(decodes: bool) -> nn.Layer:
        block = nn.transformer_block(heads, causal=decodes, cross=decodes, mlp_ratio=2.0, dropout_rate=rate)
        return nn.repeat(block, blocks)

    @nn.model(
        source=embedded(source_size), encoder=stack(decodes=False), memory_norm=nn.layer_norm(),
        target=embedded(target_size), decoder=stack(decodes=True), norm=nn.layer_norm(),
        output=nn.dense(target_size),
    )  # fmt: skip
    def transformer(m: Any, x: Any) -> Any:
        target, source = x
        memory = m.memory_norm(m.encoder(m.source(source)))
        h, _ = m.decoder((m.target(target), memory))
        return m.output(m.norm(h))

    return transformer
