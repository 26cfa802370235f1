"""Run every benchmark: `make bench`."""

from benchmarks import objective, training_step

training_step.main()
objective.main()
