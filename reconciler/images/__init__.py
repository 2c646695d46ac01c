"""The image service: images come from registries and archives, are kept, checked, handed on and removed.

It works on the graph, the registry and the store through ``service.ImageService``. It knows nothing of the Engine's
jobs: whoever waits for long work is a ``caller.Caller``.
"""
