"""The demo, a small real web shop: Readygate can be tried on it anywhere (`python -m readygate.demo`)."""
