"""Looking inside a model without changing it."""

from jaxnn.inspect._summary import Row as Row
from jaxnn.inspect._summary import Summary as Summary
from jaxnn.inspect._summary import summary as summary
