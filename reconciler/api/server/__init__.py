"""What runs the API: gunicorn with a worker that slow clients cannot hold up, in a process without privileges."""
