"""The command line, ``pydock``: one file per verb in ``verbs``, each speaking only to the client.

A command starts in the time that its imports take, so ``group`` loads only the verb that was asked for, and a module
imports what is heavy (yaml, rich, the manifest's loader) where it is used.
"""
