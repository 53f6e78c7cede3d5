"""The chat in a real Chromium, as people use it."""

import pytest

pytest.register_assert_rewrite("browser.people")
