"""When the command began, from which the time of a question counts. Imported before anything heavy."""

import time

STARTED = time.monotonic()
"""In seconds of `time.monotonic`."""
