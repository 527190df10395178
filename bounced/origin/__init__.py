"""Whose mail was it, and may the report count: signed return paths, own relays, authors."""
