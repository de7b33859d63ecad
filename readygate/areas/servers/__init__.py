"""Servers: what one may be declared to be, and how each part of it is observed."""
