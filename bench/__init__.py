"""The benchmark, `make bench`: the pipeline and simpler programs, at the same work on the same stand-ins."""
