"""The fronts of the API: each speaks one protocol, and has a folder here and a row in ``table``.

A front is a package with two functions: ``owns(path)`` says which paths are its own, and ``make(engine, streams)``
gives the WSGI application that answers them, with its own routes, guard and form of errors. Fronts do not know each
other. What they share stands beside this folder: ``connection`` (whose request it is), ``streams`` (answers that go
on), ``body``, ``problems`` (which error has which HTTP status)."""
