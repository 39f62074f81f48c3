"""Who runs something, on which machine, and as which job of a batch system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

_JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "JOB_ID")
_RANK_VARIABLES = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "RANK")


class Origin(NamedTuple):
    """Who ran it where: `job` and `rank` are the batch system's, None outside of one."""

    operating_system: str
    host: str
    user: str
    job: str | None
    rank: str | None


def here(environ: Mapping[str, str]) -> Origin:
    """Return the origin of what this process runs, by its environment and the system."""

    def first_of(names: tuple[str, ...]) -> str | None:
        return next((environ[name] for name in names if environ.get(name)), None)

    system = os.uname()
    return Origin(
        operating_system=system.sysname,
        host=system.nodename,
        user=first_of(("LOGNAME", "USER")) or _user_by_id(),
        job=first_of(_JOB_VARIABLES),
        rank=first_of(_RANK_VARIABLES),
    )


def _user_by_id() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
