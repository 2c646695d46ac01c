"""The entry point of the API process: ``python -m reconciler.wsgi``, started by pydockd and by nobody else."""

from __future__ import annotations

from reconciler.bootstrap import serve

if __name__ == "__main__":
    serve.main()
