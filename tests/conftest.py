"""Settings of all tests."""

from hypothesis import settings

# The first example of a test may load a kernel: how long one takes says nothing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
