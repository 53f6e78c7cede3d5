"""Chromium, Firefox and WebKit behind one interface, for scenarios that are written once."""

from browser.drivers.chromium import Chromium
from browser.drivers.firefox import Firefox
from browser.drivers.webkit import WebKit
from browser.drivers.window import Engine, Scheme, Window

ENGINES: dict[str, type[Engine]] = {"Chromium": Chromium, "Firefox": Firefox, "WebKit": WebKit}

__all__ = ["ENGINES", "Chromium", "Engine", "Firefox", "Scheme", "WebKit", "Window"]
