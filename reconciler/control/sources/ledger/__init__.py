"""The pure half of a source: what its files mean for what is in force, look by look. Any kind of source uses it.

``ledger`` decides; ``facts`` are the values that go in and come out. ``files`` knows what became of each file and since
when, ``reading`` takes new contents in, ``losses`` suspects those that were written by half, ``claims`` settles who
holds what, ``guard`` limits what may go at once, ``remarks`` is what objects say of their file. Nothing here does I/O,
reads a clock or logs.
"""
