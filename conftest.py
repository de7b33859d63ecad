"""Fixtures and hooks of this project; the engine's own come with the readygate plugin."""
