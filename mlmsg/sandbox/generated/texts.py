"""The texts and names of a generated market. All of them are invented."""

from mlmsg.sandbox.packs import Author

__all__ = ["buyer_name", "message_text"]

_Text = tuple[str, str, str]

# Each text in Spanish, Portuguese and English.
_TEXTS: dict[Author, tuple[_Text, ...]] = {
    "buyer": (
        (
            "Hola, ¿cuándo llega mi compra?",
            "Olá, quando chega a minha compra?",
            "When will it arrive?",
        ),
        ("Me llegó otro color.", "Chegou de outra cor.", "I received another color."),
        (
            "¿Me pueden enviar la factura?",
            "Podem enviar a nota fiscal?",
            "Can you send the invoice?",
        ),
        ("Va la foto de la caja.", "Segue a foto da caixa.", "Here is the photo of the box."),
        ("Muchas gracias.", "Muito obrigado.", "Thank you very much."),
    ),
    "seller": (
        ("¡Hola! Tu compra ya salió.", "Olá! Sua compra já saiu.", "Hello! Your order has left."),
        ("Lo revisamos hoy mismo.", "Vamos verificar hoje mesmo.", "We will look at it today."),
        ("Te dejo el comprobante.", "Segue o comprovante.", "Here is the receipt."),
        ("Lo sentimos mucho.", "Sentimos muito.", "We are very sorry."),
    ),
}
_NAMES = ("Mariana", "Beatriz", "Camila", "Lucía", "Andrés", "João", "Diego", "Fernanda")


def message_text(author: Author, site_id: str, bits: int) -> tuple[str, str]:
    """Return a text in the language of the site, and the same in English."""
    texts = _TEXTS[author]
    spanish, portuguese, english = texts[bits % len(texts)]
    return (portuguese if site_id == "MLB" else spanish), english


def buyer_name(bits: int) -> str:
    """Return the first name of a buyer."""
    return _NAMES[bits % len(_NAMES)]
