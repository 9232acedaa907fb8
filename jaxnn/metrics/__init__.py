"""Metrics as mergeable sums: ``metric(outputs, targets, weights)`` returns what batches add up.

Every one can be given to ``train.supervised(..., metrics=...)``; options are bound by ``functools.partial``.
"""

from jaxnn.metrics._accuracy import accuracy as accuracy
from jaxnn.metrics._accuracy import binary_accuracy as binary_accuracy
from jaxnn.metrics._auc import Auc as Auc
from jaxnn.metrics._auc import auc as auc
from jaxnn.metrics._class_scores import ClassScores as ClassScores
from jaxnn.metrics._class_scores import f1 as f1
from jaxnn.metrics._class_scores import precision as precision
from jaxnn.metrics._class_scores import recall as recall
from jaxnn.metrics._confusion_matrix import ConfusionMatrix as ConfusionMatrix
from jaxnn.metrics._confusion_matrix import confusion_matrix as confusion_matrix
from jaxnn.metrics._mean import Mean as Mean
from jaxnn.metrics._mean import merge as merge
from jaxnn.metrics._perplexity import Perplexity as Perplexity
from jaxnn.metrics._perplexity import perplexity as perplexity
from jaxnn.metrics._top_k_accuracy import top_k_accuracy as top_k_accuracy
