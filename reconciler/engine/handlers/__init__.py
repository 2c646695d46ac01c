"""The handlers of the reconciler's steps, one file a kind. ``reconciler.engine.table`` names them all."""
