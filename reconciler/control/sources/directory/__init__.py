"""A watched directory as a source: ``scan`` looks and reads, ``watch`` waits for changes, ``writers`` knows who is
still writing, ``source`` puts them together."""
