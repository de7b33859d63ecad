"""Firewalls: what they are meant to do, what their rules do, and what is seen from outside."""
