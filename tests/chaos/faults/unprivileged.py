"""Runs a command for which file modes hold even as root: `python -m tests.chaos.faults.unprivileged COMMAND`."""

import ctypes
import os
import sys

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1

if __name__ == "__main__":
    # Whoever is not root has not got the capability, and may not give it up either.
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
    os.execvp(sys.argv[1], sys.argv[1:])
