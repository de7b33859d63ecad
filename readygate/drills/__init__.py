"""Restore drills: a backup is brought back to life in a scratch server that nobody else can reach, and asked."""
