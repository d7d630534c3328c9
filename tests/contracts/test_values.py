"""What views hold."""

import pytest

from vlobjectives import not_none
from vlobjectives.errors import PluginError


def test_what_may_be_none_and_is_not():
    assert not_none(0, "class token") == 0


def test_what_is_none_is_named_at_the_line_that_reads_it():
    with pytest.raises(PluginError, match="there is no class token") as caught:
        not_none(None, "class token")
    assert caught.value.place.file == __file__
