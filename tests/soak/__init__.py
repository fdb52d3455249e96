"""Mix everything that the client does with random faults, then prove that nothing went wrong.

From the folder `tests`:

    python -m soak [--seconds N | --calls N] [--faults 0.05] [--workers 16] [--seed N]

Four clients of one grant, two for each family of sellers, talk to a sandbox in another process. It
serves both families over one market, and answers each request with a fault at the given rate. The
clients have two `RefreshingToken`s on one `FileTokenStore`, each for one client of each family.
Some calls are cancelled at a random moment. At the end the outcomes that the callers saw are
compared with what the server executed. Descriptors, tasks, threads and memory are counted before
the first client, after a fifth of the run, at its end, and after closing, each time at rest. Needs
Linux; the exit status is 1 if a proof fails.

A seed gives the same random draws; which call meets them depends on the network.
"""
