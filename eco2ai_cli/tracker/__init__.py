"""The Python API: measure the process that one's own code runs in. Told in `docs/python.md`.

`api` is the `Tracker`, `decorator` makes `track`, `marking` is `mark`; `starting` and `measuring`
measure, `inside` marks the run of an `eco2ai run` around us instead, `presence` knows what is under
way in the process. `defaults` are kept between programs and `totals` sums a ledger up.

Once it has started nothing in here raises: it is a guest in somebody's program.
"""
