"""One thread for torch in every test, so that tests run side by side do not fight for cores.

torch is not imported for it: tests that do without stay quick.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
