"""
What asynctasks costs, side by side with its peers, in one run.

``python -m benchmarks`` prints a table with a line per target and its ratio;
``--json FILE`` also writes the figures, ``--quick`` makes everything small. Only ratios
within one run count: rates differ from machine to machine and from hour to hour.
"""
