"""Readygate: one inventory, one command, one verdict."""

__version__ = "0.1.0"
