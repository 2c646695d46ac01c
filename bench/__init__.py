"""``make bench``: pydock beside its peers, side by side in one run. docs/benchmarks.md tells how to read it.

``rows/`` holds one measurement a file and the table that names them; ``peers/`` what pydock is compared with;
``stage`` the place where all of it happens, apart from the host; ``report`` what is printed.
"""
