"""Container: one container, with its process, its file system and its place in networks."""
