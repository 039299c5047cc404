"""
The pure core: what services say, without a loop, a clock, dice or a network.

Nothing below this folder awaits, sleeps, logs or reads the environment; time and
randomness come in as arguments. ``tests/test_architecture.py`` keeps it so.
"""
