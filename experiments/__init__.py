"""Readable experiments on jaxnn, one file each, and the runner, data loaders and plots that they share.

``python -m experiments`` lists them.
"""
