"""Several nodes of one chat, which share a Redis."""
