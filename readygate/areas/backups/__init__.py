"""Backups: whether they are there, whole, kept, elsewhere, and can be restored."""
