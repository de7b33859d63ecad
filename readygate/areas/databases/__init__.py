"""Databases as they run: PostgreSQL, MySQL, Redis, and what stands before them."""
