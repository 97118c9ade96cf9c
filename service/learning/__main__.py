"""Works on one job; the worker starts this program for it: `python -m service.learning JOB ATTEMPT PARENT`."""

import sys

from service.learning.child import main
from service.learning.kinds import KINDS

if __name__ == "__main__":
    main(KINDS, *map(int, sys.argv[1:]))
