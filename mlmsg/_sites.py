"""The sites of Mercado Libre, and what people write instead of their ids."""

import unicodedata
from typing import Final

__all__ = ["SITE_NAMES", "closest_site"]

SITE_NAMES: Final = {
    "MBO": ("BO", "BOL", "BOLIVIA"),
    "MCO": ("CO", "COL", "COLOMBIA"),
    "MCR": ("CR", "CRI", "COSTA RICA"),
    "MEC": ("EC", "ECU", "ECUADOR"),
    "MGT": ("GT", "GTM", "GUATEMALA"),
    "MHN": ("HN", "HND", "HONDURAS"),
    "MLA": ("AR", "ARG", "ARGENTINA"),
    "MLB": ("BR", "BRA", "BRASIL", "BRAZIL"),
    "MLC": ("CL", "CHL", "CHILE"),
    "MLM": ("MX", "MEX", "MEXICO"),
    "MLU": ("UY", "URY", "URUGUAY"),
    "MLV": ("VE", "VEN", "VENEZUELA"),
    "MNI": ("NI", "NIC", "NICARAGUA"),
    "MPA": ("PA", "PAN", "PANAMA"),
    "MPE": ("PE", "PER", "PERU"),
    "MPY": ("PY", "PRY", "PARAGUAY"),
    "MRD": ("DO", "DOM", "REPUBLICA DOMINICANA", "DOMINICAN REPUBLIC"),
    "MSV": ("SV", "SLV", "EL SALVADOR"),
}
"""The id of each site, and the codes and names of its country, in capitals and without accents."""

_SITES: Final = {site: site for site in SITE_NAMES} | {
    name: site for site, names in SITE_NAMES.items() for name in names
}


def closest_site(text: str) -> str | None:
    """Return the site that a country, its code or a mistyped id means, or None."""
    letters = unicodedata.normalize("NFKD", text.strip().upper())
    name = "".join(letter for letter in letters if not unicodedata.combining(letter))
    import difflib  # noqa: PLC0415  (few programs need it: it takes longer than this package)

    found = difflib.get_close_matches(name[:50], _SITES, 1)
    return _SITES[found[0]] if found else None
