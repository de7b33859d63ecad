"""Load that tells the truth: a plan of arrivals, a generator in a process of its own, and what it measured."""
