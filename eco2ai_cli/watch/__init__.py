"""Look at the runs that are under way on this machine, without touching them.

`runs` finds them by their journals, `power` tells how fast they use energy by two samples of one,
`members` looks at their processes; `plot`, `tables` and `frame` lay it out, and `outcome` says
what a run came to. Nothing here writes anywhere.
"""
