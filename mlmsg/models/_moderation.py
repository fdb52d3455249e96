"""Advice for the reasons of moderation ("Message Moderation object").

The document names the reasons. Not verified: their exact meaning, which is read from their names.
"""

__all__ = ["MODERATION_HINTS", "moderation_hint"]

_PAYMENT = "Remove the link or name of a payment outside of the sale"

MODERATION_HINTS = {
    "out_of_place_language": "Say it in other words: some words are taken for an offence",
    "social_network_link": "Remove the link or the name of the social network",
    "link_short_url": "Use the full address in place of the shortened link",
    "automatic_message": "Vary the text, and write only when it is needed: it looks automatic",
    "personal_data": "Remove the personal data: phone, e-mail or address",
    "link_mercadopago": _PAYMENT,
    "ml_links_paypal": _PAYMENT,
    "evasion_claim_seller": "Do not ask the buyer to give up a claim: answer in the claim",
}
"""Advice by reason, in lower case: the action guide writes them so, the messages in capitals."""


def moderation_hint(reason: str | None) -> str:
    """Return the advice for a reason of moderation, whatever its case; `""` without a reason."""
    name = (reason or "").strip().lower()
    if name in {"", "none"}:
        return ""
    return MODERATION_HINTS.get(name, f"Moderation gave the reason {reason}: change the text")
