"""Every layer through the whole kit."""

import inspect

import pytest
from conformance_table import TABLE, Entry

import jaxnn as nn
from jaxnn import testing

# What is not a layer by itself: cells are scanned by rnn in the table, the rest has tests of its own.
OTHERS = {"decoding_cell", "generate", "gru_cell", "lstm_cell", "mode", "simple_rnn_cell", "stateless"}
OTHERS |= {"stacked_cell", "spectral_norm"}


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_layer_conforms(entry: Entry) -> None:
    testing.check_layer(entry.make(), entry.x, **entry.options)


def test_names_of_entries_are_unique() -> None:
    names = [entry.name for entry in TABLE]
    assert len(set(names)) == len(names)


def test_every_layer_is_in_the_table() -> None:
    public = {name for name in dir(nn) if inspect.isfunction(getattr(nn, name)) and name[0] != "_"}
    used = {name for entry in TABLE for name in (*entry.make.__code__.co_names, entry.name)}
    assert public - OTHERS <= used
