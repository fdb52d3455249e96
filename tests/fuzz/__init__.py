"""Answer every operation with malformed bytes, and prove that only errors of the package come out.

From the folder `tests`:

    python -m fuzz [--answers 100000] [--seed 1]

A server on loopback answers each request with bytes that fit its path, and damages most of them:
the status line, the headers, redirects, dispositions, the framing, the compression, the JSON, or
any byte. Clients of both families, with three kinds of tokens, call every public operation. They
also read damaged notifications, token files, manifests and states.

The calls come in rounds. Each call must end in time, with a result or an error of the package that
shows no token. After each round no slot, task, socket or file may be left. The exit status is 1 if
there is a violation. A seed gives the same random draws; which call meets them depends on the
network.
"""
