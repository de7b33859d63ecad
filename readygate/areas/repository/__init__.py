"""The repository and its pipeline: what is committed, what the workflows do, and how they ended."""
