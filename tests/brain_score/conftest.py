"""The tests of the side of toposheet. Those beside the installed package are run by `make test-brain`."""

collect_ignore = ["installed"]
