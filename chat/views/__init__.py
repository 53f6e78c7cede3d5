"""HTML that is made once and shown to many."""
