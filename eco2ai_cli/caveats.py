"""The doubts that a figure may carry: a word for the ledger, a sentence for people."""

from __future__ import annotations

SENTENCES = {
    "clock-set": "the clock was set during the run; its stamps do not tell how long it took",
    "coefficient-dated": "the carbon intensity of the region is an old figure",
    "coefficient-doubtful": "the carbon intensity is a known error of its table, kept as published",
    "coefficient-proxy": "the carbon intensity is that of a similar region",
    "coefficient-rough": "the carbon intensity is rounded, or its source's editions disagree",
    "coefficient-undocumented": "how the carbon intensity was computed is not documented",
    "cpu-by-perf": "a parent let its children's CPU time be forgotten; a perf counter supplied it",
    "cpu-estimated": "the power of the processor is an estimate; `eco2ai cpus lookup` tells why",
    "cpu-given": "the power of the processor is your own figure, not that of our table",
    "cpu-unknown": "the processor is not in the table; its power is a typical one",
    "cpu-unmetered": "the energy of the CPU was not metered",
    "duration-unknown": "some rows have no duration",
    "emissions-unknown": "some rows have no emissions",
    "end-unseen": "eco2ai was killed during the run; nothing after its last sample is counted",
    "energy-unknown": "some rows have no energy",
    "gpu-by-device": "processes cannot be told apart on the GPU; whole devices are counted",
    "gpu-late": "the NVIDIA driver stopped answering or answered late; its last value is counted",
    "gpu-lost": "a GPU stopped answering; its energy is counted until then",
    "gpu-order": "GPUs of several models are here, and CUDA may number them in another order",
    "gpu-shared": "others used the same GPU; its energy is shared out by how busy each kept it",
    "gpu-sliced": "a MIG slice has no meter; its part of what the whole GPU drew is counted",
    "gpu-unavailable": "the NVIDIA driver could not be asked; GPU energy is not known",
    "gpu-unknown": "a GPU in use shows neither energy nor power; its energy is not known",
    "gpu-unmetered": "there is a GPU here that was not metered",
    "idle-assumed": "the machine was never seen idle; a quarter of full power is taken for that",
    "internal-error": "a fault of eco2ai itself cost accuracy; please report the traceback",
    "left-running": "processes outlived the command; what they used until then is counted",
    "locate-failed": "the service that knows places by address did not answer; see the region used",
    "memory-unknown": "the memory of the command could not be read",
    "ram-unmetered": "the energy of the memory was not metered",
    "rapl-late": "samples came so late that the RAPL counters may have wrapped around unseen",
    "rapl-lost": "a RAPL counter cannot be read any more; its energy is counted until then",
    "rapl-reset": "a RAPL counter was reset; energy around that moment may be missing",
    "rapl-start": "the RAPL counters were read late; energy until then is modelled, or missing",
    "rapl-still": "the RAPL counters of this machine stand still; power is modelled by TDP",
    "region-assumed": "the region was not given; set it with `--region` or in `eco2ai.toml`",
    "region-by-ip": "the region is that of the network address, which a VPN or proxy moves",
    "region-coarse": "the subdivision has no figure of its own; its country's is used",
    "sampling-late": "samples came late (a stop or a busy machine); memory between them is assumed",
    "suspended": "the machine was suspended during the run; the duration counts that time",
    "tree-escaped": "a parent ignores SIGCHLD, so CPU time of its children may be missing",
    "work-elsewhere": "the command hands its work to other machines or services, unseen from here",
}


def sentence(word: str) -> str:
    """Return the sentence of a caveat; a word that is not ours speaks for itself."""
    return SENTENCES.get(word, word)
