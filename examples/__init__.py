"""Each example is run by the tests."""
