"""Chat rooms by code: the server writes every byte of HTML, and nothing accepted is ever lost."""

__version__ = "0.1.0"
