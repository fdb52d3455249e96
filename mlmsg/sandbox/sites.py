"""The sites of the API, and the messaging agents of each."""

__all__ = ["AGENTS", "GLOBAL_SELLING", "OTHER_AGENT", "SITES"]

# The pseudo site of Global Selling accounts: no upload and no download accepts it.
GLOBAL_SELLING = "CBT"

# The user ids of the messaging agents.
AGENTS = {
    "MLC": 3020819166,
    "MCO": 3037204123,
    "MLM": 3037204279,
    "MLA": 3037674934,
    "MLB": 3037675074,
    "MLU": 3037204685,
}

# The document calls the agent of MLU "others". That it serves every other site is not verified.
OTHER_AGENT = AGENTS["MLU"]

_OTHER_SITES = ("MBO", "MCR", "MEC", "MGT", "MHN", "MLV", "MNI", "MPA", "MPE", "MPY", "MRD", "MSV")

# The sites of the authorization hosts.
SITES = frozenset([*AGENTS, *_OTHER_SITES])
