"""Frozen types that every room speaks: keys, specs, desired and observed state, plans, jobs.

Pure: no I/O, no clock, no logging.
"""
