"""What every test needs of its surroundings. torch is not imported for it: tests that do without stay quick."""

import os
import signal

# One thread for torch, so that tests run side by side do not fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

# A shell ignores Ctrl-C in its background jobs, and the processes that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
