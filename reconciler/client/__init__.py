"""The client of pydock's HTTP API.

``client`` has one method for each thing the API can do, ``http`` the wire, ``statuses`` the typed errors,
``watching`` the endless list of changes, ``address`` the check of ``-H``. It knows nothing of the daemon's inside
and imports little: the command line starts in the time that this takes.
"""
