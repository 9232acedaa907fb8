"""Word vectors: vocabulary, text in blocks, what is learned from a block, and what the vectors know."""
