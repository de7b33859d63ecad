"""Containers by docker or podman, in compose or on their own."""
