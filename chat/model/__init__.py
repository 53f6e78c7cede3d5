"""Values and the rules they obey. Standard library only, but for the table of look-alikes."""
