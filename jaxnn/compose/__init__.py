"""Composition: layers made of layers."""

from jaxnn.compose._bidirectional import bidirectional as bidirectional
from jaxnn.compose._chain import chain as chain
from jaxnn.compose._decoding_cell import decoding_cell as decoding_cell
from jaxnn.compose._generate import generate as generate
from jaxnn.compose._model import model as model
from jaxnn.compose._parallel import branch as branch
from jaxnn.compose._parallel import parallel as parallel
from jaxnn.compose._repeat import repeat as repeat
from jaxnn.compose._residual import residual as residual
from jaxnn.compose._transformer_block import transformer_block as transformer_block
from jaxnn.compose._wrap import cast as cast
from jaxnn.compose._wrap import mode as mode
from jaxnn.compose._wrap import remat as remat
