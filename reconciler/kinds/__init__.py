"""The kinds of resources: one folder for each, named by the kind's row in ``model.kinds``.

The folder's own modules are its pure half: what its fields are, what is observed of it, what its plan is, what its
status says. They do no I/O, read no clock and log nothing. ``effects/`` is the other half: how its steps are carried
out, how it is observed and what is left of it, loaded by name at the start of the daemon (``table.effects``).
"""
