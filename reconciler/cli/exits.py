"""The exit statuses of every verb: kubectl's, so that scripts may stay as they are."""

from __future__ import annotations

#: all was done
OK = 0
#: something failed, was not found, did not happen in time, or the server cannot be reached; for ``diff``: differences
FAILED = 1
#: the command line is wrong; for ``diff``: any failure
USAGE = 2
#: ended by Ctrl-C
INTERRUPTED = 130
#: whoever read our output went away
BROKEN_PIPE = 141

EPILOG = """\
\b
Exit status:
  0    everything was done; diff: no differences
  1    something failed, was not found or did not happen in time, or the
       server cannot be reached; diff: there are differences, or an
       object waits for something
  2    the command line is wrong; diff: something failed
  130  interrupted by Ctrl-C

\b
Environment:
  PYDOCK_HOST   the server to speak to, as for -H
"""
