"""Drivers: the hands of pydock. Each takes plain arguments and returns plain facts.

A driver knows neither the other drivers, nor the store, nor the API. Every method that changes something is idempotent:
called again after a crash half-way it completes the work. Every ``remove`` of what is gone succeeds. Errors:
``Temporary`` where another try may help, ``Permanent`` where it cannot, ``NotFound`` where a thing that must exist does
not.
"""
