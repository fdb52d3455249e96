"""The sites of the API."""

__all__ = ["SITES"]

# The sites of the authorization hosts. CBT, the pseudo site of Global Selling, is not one of
# them: no upload and no download accepts it.
SITES = frozenset(
    {
        "MLA",
        "MLB",
        "MLM",
        "MLC",
        "MCO",
        "MLU",
        "MPE",
        "MLV",
        "MEC",
        "MBO",
        "MPY",
        "MGT",
        "MPA",
        "MRD",
        "MCR",
        "MHN",
        "MSV",
        "MNI",
    }
)
