"""Real targets for the tests: systemd hosts, sound ones and broken ones, on a network of their own."""
