"""Metrics as mergeable sums: ``metric(outputs, targets, weights)`` returns what batches add up."""

from jaxnn.metrics._accuracy import accuracy as accuracy
from jaxnn.metrics._accuracy import binary_accuracy as binary_accuracy
from jaxnn.metrics._mean import Mean as Mean
from jaxnn.metrics._mean import merge as merge
