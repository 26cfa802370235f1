"""Run every benchmark: `make bench`."""

from benchmarks import training_step

training_step.main()
