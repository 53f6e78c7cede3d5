"""Closing windows as their close button would, on a screen without a window manager."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p

CLIENT_MESSAGE = 33


class Event(ctypes.Structure):
    """XClientMessageEvent, as long as XEvent is."""

    _fields_ = (
        ("type", c_int),
        ("serial", c_ulong),
        ("send_event", c_int),
        ("display", c_void_p),
        ("window", c_ulong),
        ("message_type", c_ulong),
        ("format", c_int),
        ("data", c_long * 5),
        ("rest", c_long * 12),
    )


def close_windows(display: str) -> None:
    """Ask every window on this display to close."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype, x.XOpenDisplay.argtypes = c_void_p, (c_char_p,)
    x.XDefaultRootWindow.restype, x.XDefaultRootWindow.argtypes = c_ulong, (c_void_p,)
    x.XInternAtom.restype, x.XInternAtom.argtypes = c_ulong, (c_void_p, c_char_p, c_int)
    x.XQueryTree.argtypes = (c_void_p, c_ulong, *[c_void_p] * 4)
    x.XSendEvent.argtypes = (c_void_p, c_ulong, c_int, c_long, c_void_p)
    x.XCloseDisplay.argtypes = (c_void_p,)
    connection = x.XOpenDisplay(display.encode())
    protocols, delete = (
        x.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
    )
    root, parent, windows, count = c_ulong(), c_ulong(), POINTER(c_ulong)(), c_uint()
    x.XQueryTree(
        connection, x.XDefaultRootWindow(connection), byref(root), byref(parent), byref(windows), byref(count)
    )
    for window in windows[: count.value]:
        event = Event(CLIENT_MESSAGE, 0, 1, None, window, protocols, 32, (c_long * 5)(delete))
        x.XSendEvent(connection, window, 0, 0, byref(event))
    x.XCloseDisplay(connection)
