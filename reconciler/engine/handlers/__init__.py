"""The handlers, one file a subject. ``reconciler.engine.table`` names them all."""
