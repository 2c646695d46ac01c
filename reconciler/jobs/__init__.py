"""The handlers of what the API may ask (``reconciler.requests``), one file a subject.

A handler takes the parts and the job, reads its request from ``job.args``, and returns a result or raises one of
``errors``. ``table`` loads them by the names that the declarations give.
"""
