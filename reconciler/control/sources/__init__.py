"""Where manifests come from.

``base`` is the manual of a source, ``table`` has one row for each kind, ``manager`` starts and stops sources by name.
``loop`` is the thread of one: it looks, has ``ledger`` decide (pure, time comes in as a value), has ``apply`` write the
store, and waits. ``status`` shows all that. ``directory`` is the first source.
"""
