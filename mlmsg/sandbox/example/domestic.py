"""The threads of a domestic seller: open, mediated and blocked. All of it is invented.

Each text is a pair: Spanish, and Portuguese for the site MLB.
"""

from dataclasses import dataclass

from mlmsg.sandbox.packs import Author

__all__ = ["DOMESTIC_CLAIM_ID", "DOMESTIC_THREADS", "DomesticThread"]

DOMESTIC_CLAIM_ID = 5204000044

_Texts = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DomesticThread:
    """A pack with its messages, oldest first, and the state of its thread.

    Attributes:
        substatus: The substatus of a blocked thread; None for an active one.
        is_mediated: The messaging agent of the site mediates the thread.
        claim_id: The claim of the conversation.
    """

    pack_id: int
    buyer_id: int
    buyer_name: str
    messages: tuple[tuple[str, Author, _Texts], ...] = ()
    substatus: str | None = None
    is_mediated: bool = False
    claim_id: int | None = None


_QUESTION = (
    "Hola, ¿el teclado viene con pilas?",
    "Olá, o teclado vem com pilhas?",
)
_SHIPPED = ("¡Hola! Tu compra ya salió.", "Olá! Sua compra já saiu.")
_THANKS = ("Muchas gracias.", "Muito obrigado.")

DOMESTIC_THREADS = (
    DomesticThread(
        2000007002000011,
        700500011,
        "Andrés",
        messages=(
            ("2026-02-10T13:02:11Z", "seller", _SHIPPED),
            ("2026-02-11T15:40:09Z", "buyer", _QUESTION),
        ),
    ),
    DomesticThread(
        2000007002000022,
        700500022,
        "Bruna",
        messages=(("2026-02-12T10:11:12Z", "buyer", _QUESTION),),
        is_mediated=True,
    ),
    DomesticThread(2000007002000033, 700500033, "Carlos", is_mediated=True),
    DomesticThread(
        2000007002000044,
        700500044,
        "Daniela",
        substatus="blocked_by_conversation_initiated_by_seller_limited",
    ),
    DomesticThread(
        2000007002000055,
        700500055,
        "Elisa",
        messages=(("2026-02-13T18:30:00Z", "buyer", _QUESTION),),
        substatus="blocked_by_conversation_use_message_api",
    ),
    DomesticThread(
        2000007002000066,
        700500066,
        "Fabio",
        messages=(
            ("2026-01-02T12:00:00Z", "seller", _SHIPPED),
            ("2026-01-02T12:30:00Z", "buyer", _THANKS),
        ),
        substatus="blocked_by_time",
    ),
    DomesticThread(
        2000007002000077,
        700500077,
        "Gloria",
        messages=(("2026-02-01T09:15:00Z", "seller", _SHIPPED),),
        substatus="blocked_by_mediation",
        claim_id=DOMESTIC_CLAIM_ID,
    ),
    DomesticThread(
        2000007002000088,
        700500088,
        "Hugo",
        substatus="blocked_by_payment",
    ),
    DomesticThread(
        2000007002000099,
        700500099,
        "Irene",
        messages=(("2026-02-03T20:45:10Z", "seller", _SHIPPED),),
        substatus="blocked_by_cancelled_order",
    ),
)
