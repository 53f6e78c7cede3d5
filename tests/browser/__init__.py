"""The chat in real browsers, as people use it."""

import pytest

pytest.register_assert_rewrite("browser.people", "browser.visitors")
