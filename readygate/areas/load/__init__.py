"""Load: what a run of it may be declared to be, and what may be concluded from it."""
