"""The site that a person means, by a country, its code or a mistyped id."""

import pytest

from mlmsg import RuleError
from mlmsg.rules import SITES, check_site_id

MEANT = {
    "MX": "MLM", "MEX": "MLM", "Mexico": "MLM", "México": "MLM", "mejico": "MLM", "MLMX": "MLM",
    " MLM": "MLM", "MLM\n": "MLM", "BR": "MLB", "BRA": "MLB", "brazil": "MLB", "MBR": "MLB",
    "Perú": "MPE", "panama": "MPA", "Dominican Republic": "MRD", "CL": "MLC", "Chille": "MLC",
}  # fmt: skip


@pytest.mark.parametrize("text", MEANT)
def test_a_site_is_suggested(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        check_site_id(text)
    assert caught.value.hint == f"Did you mean {MEANT[text]!r}?"


@pytest.mark.parametrize("text", ["ZZZ", "12", "x" * 100_000])
def test_the_sites_are_listed_where_none_is_close(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        check_site_id(text)
    assert caught.value.hint == f"The sites: {', '.join(sorted(SITES))}"
