"""What all tests of the engine share."""

pytest_plugins = ["pytester", "tests.lab.fixtures"]
