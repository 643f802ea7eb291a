"""Benchmarks: each module measures one claim and returns a :class:`~experiments.bench.table.BenchTable`."""
