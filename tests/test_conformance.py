"""Every layer through the whole kit."""

import pytest
from conformance_table import TABLE, Entry

from jaxnn import testing


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_layer_conforms(entry: Entry) -> None:
    testing.check_layer(entry.make(), entry.x, **entry.options)


def test_names_of_entries_are_unique() -> None:
    names = [entry.name for entry in TABLE]
    assert len(set(names)) == len(names)
