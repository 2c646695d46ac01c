"""Sources of manifests. Today: the watched directory.

``directory`` decides (time comes in as a value), with ``claims`` for who holds what and ``guard`` for what may go;
``scan`` reads the disk, ``apply`` writes the store, ``loop`` puts them in a thread that ``watch`` wakes.
"""
