"""The HTTP API: parses what strangers send, and turns every request into a job on the engine socket.

It has no database and no driver, and decides nothing. ``routes`` is the one table of what is answered, one file a
resource; ``problems`` turns errors into Kubernetes ``Status`` objects; ``server`` holds what runs it: gunicorn, its
worker, its privileges.
"""
