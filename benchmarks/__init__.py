"""How fast the service is, beside what a user would write or pick instead. It imports the service and is imported by
none of it.

`python -m benchmarks` compares (`make bench`), `python -m benchmarks.many` measures arrays, `python -m
benchmarks.growth` a long log; each writes a file below benchmarks/results, and `python -m benchmarks.report README.md`
makes the tables from them."""
