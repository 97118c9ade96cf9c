"""The tests. OpenMP and BLAS get one thread in each of their processes, as in the workers of the service: the processes
share the cores, and threads of libraries that wait for one another there make small fits many times slower."""

import os

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

for _name, _number in ONE_THREAD.items():  # before numpy is imported
    os.environ.setdefault(_name, _number)
