"""How fast the service is, compared with what a user would write or choose instead. This package imports the service;
no part of the service imports it.

Each command measures one subject and writes a file below benchmarks/results: `python -m benchmarks` (`make bench`) the
comparison, `python -m benchmarks arrays` the same for arrays, `benchmarks.growth` a long log, `benchmarks.score` the
performance report, `benchmarks.compiled` the compiled form, `benchmarks.models` many kinds of models,
`benchmarks.models.kinds` the programs of many kinds of pipelines, `benchmarks.swap_memory` the memory over many swaps,
`benchmarks.learning.gate` how often the gate is wrong, `benchmarks.learning.retraining` what a retraining costs.
`python -m benchmarks.report README.md docs/performance.md docs/score.md docs/models.md docs/learning.md` makes the
tables from these files."""
