"""Cancel every operation at every point at which it waits.

From the folder `tests`: `python -m cancellation [PART OF AN OPERATION'S NAME]`.

Each operation of each family of sellers is a task against a sandbox, with a client of one
connection. A watched coroutine counts how often that task, and every task that it starts, is
suspended. At the k-th suspension the call is cancelled, for every k from 0 (before the call began)
to the last one. This is done in three ways: when the wait begins; when it ends, so that the result
is ready but not yet received; and again at each wait of the cleanup. A run that ends before its
k-th wait is counted apart, because the timing of threads differs from run to run.

After each run these checks are made:

- Only the cancellation is raised.
- No task of the call is left. A refresh of the token may go on until the next call uses it.
- Every file that was opened is closed, the caller's own file is still open, and a target is either
  complete or absent.
- Two more calls and two downloads work with one connection each: no slot was lost or added.
- Nothing was sent twice, and no refresh token was lost or used twice.
- In the end all descriptors are back.

Then a hundred calls wait for one refresh, and the call that began it is cancelled.
"""
