"""Runs a command that must obey file modes even as root: `python -m tests.chaos.faults.unprivileged COMMAND`."""

import ctypes
import os
import sys

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1

if __name__ == "__main__":
    # Without root this fails, and there is no capability to drop.
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
    os.execvp(sys.argv[1], sys.argv[1:])
