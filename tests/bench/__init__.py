"""The developers' benchmark, no part of the test run: `python -m tests.bench --help` says what it does."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # as pytest does: `serving` lies there
