"""Pushing to open pages: what of a room is sent, to whom, and how much at once."""
