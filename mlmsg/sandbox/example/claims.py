"""The claims of the example market, oldest message first. All people and things are invented."""

from dataclasses import dataclass

from mlmsg.sandbox.example.threads import ScriptedFile
from mlmsg.sandbox.schemas.claims import Role, Stage

__all__ = ["CLAIMS", "ClaimScript", "ScriptedClaimMessage"]


@dataclass(frozen=True, slots=True)
class ScriptedClaimMessage:
    """A message; `translated` is the text in the language of its receiver."""

    at: str
    sender: Role
    receiver: Role
    stage: Stage
    text: str
    translated: str | None = None
    files: tuple[ScriptedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimScript:
    """A claim and its messages; the date of the first one is that of the claim."""

    claim_id: int
    site_id: str
    stage: Stage
    complainant_id: int
    messages: tuple[ScriptedClaimMessage, ...]
    mediator_id: int | None = None
    version_1: bool = False


_MUGS = ClaimScript(
    claim_id=5204000011,
    site_id="MLM",
    stage="claim",
    complainant_id=700200055,
    messages=(
        ScriptedClaimMessage(
            "2024-08-22T17:31:37.000-04:00",
            "complainant",
            "respondent",
            "claim",
            "Hola, el juego de tazas llegó con una taza rota\n",
            "Hi, the set of mugs arrived with one mug broken\n",
            (ScriptedFile("broken-mug.jpg", "IMG_20240822_153012.jpg", "image/jpeg"),),
        ),
        ScriptedClaimMessage(
            "2024-08-22T17:46:54.000-04:00",
            "respondent",
            "complainant",
            "claim",
            "Hola, lo sentimos mucho. ¿Nos mandas una foto de la caja por fuera?",
        ),
        ScriptedClaimMessage(
            "2024-08-22T18:13:09.000-04:00",
            "complainant",
            "respondent",
            "claim",
            "Va la foto, y la captura del seguimiento",
            "Here is the photo, and the screenshot of the tracking",
            (
                ScriptedFile("damaged-box.jpg", "caja.jpg", "image/jpeg"),
                ScriptedFile(
                    "tracking.png",
                    "Captura de pantalla 2024-08-22 a la(s) 4.12.28?p.m..png",
                    "image/png",
                ),
            ),
        ),
        ScriptedClaimMessage(
            "2024-08-22T18:21:20.000-04:00",
            "respondent",
            "complainant",
            "claim",
            "Gracias. Te reponemos la taza sin costo; aquí va la factura del envío nuevo.",
            files=(ScriptedFile("factura.pdf", "factura_reposicion.pdf", "application/pdf"),),
        ),
        ScriptedClaimMessage(
            "2024-08-22T18:36:48.000-04:00",
            "complainant",
            "respondent",
            "claim",
            "No estoy de acuerdo, prefiero el reembolso\n",
            "I don't agree, I would rather have the refund\n",
        ),
    ),
)

_COFFEE = ClaimScript(
    claim_id=5204000022,
    site_id="MLB",
    stage="dispute",
    complainant_id=700200066,
    mediator_id=700300001,
    messages=(
        ScriptedClaimMessage(
            "2024-09-12T09:15:00.000-04:00",
            "complainant",
            "respondent",
            "claim",
            "A cafeteira nova também não liga",
            "The new coffee maker does not turn on either",
            (ScriptedFile("serial-number.jpg", "etiqueta_nova.jpg", "image/jpeg"),),
        ),
        ScriptedClaimMessage(
            "2024-09-12T11:02:41.000-04:00",
            "respondent",
            "complainant",
            "claim",
            "Sentimos muito! Ela foi testada antes do envio. Já tentou em uma tomada de 127 V?",
        ),
        ScriptedClaimMessage(
            "2024-09-13T08:40:12.000-04:00",
            "complainant",
            "mediator",
            "dispute",
            "Já tentei em três tomadas. Quero o meu dinheiro de volta.",
            "I have tried three sockets. I want my money back.",
        ),
        ScriptedClaimMessage(
            "2024-09-13T14:20:55.000-04:00",
            "mediator",
            "respondent",
            "dispute",
            "Olá! Por favor, envie a nota fiscal do produto para analisarmos o caso.",
            "Hello! Please send the product's invoice so that we can look into the case.",
        ),
        ScriptedClaimMessage(
            "2024-09-13T15:05:33.000-04:00",
            "respondent",
            "mediator",
            "dispute",
            "Segue a nota fiscal.",
            files=(ScriptedFile("nota-fiscal.pdf", "nota-fiscal-1042.pdf", "application/pdf"),),
        ),
        ScriptedClaimMessage(
            "2024-09-13T16:48:02.000-04:00",
            "mediator",
            "respondent",
            "dispute",
            "Obrigado, recebemos o documento. Responderemos em até 48 horas.",
            "Thank you, we have received the document. We will answer within 48 hours.",
        ),
    ),
)

_SHOES = ClaimScript(
    claim_id=5204000033,
    site_id="MCO",
    stage="claim",
    complainant_id=700200077,
    version_1=True,
    messages=(
        ScriptedClaimMessage(
            "2024-09-14T10:11:12.000-04:00",
            "complainant",
            "respondent",
            "claim",
            "Pagué la diferencia y no me han cambiado los tenis",
            "I paid the difference and the shoes have not been changed",
            (ScriptedFile("comprobante.pdf", "comprobante.pdf", "application/pdf"),),
        ),
        ScriptedClaimMessage(
            "2024-09-14T10:52:30.000-04:00",
            "respondent",
            "complainant",
            "claim",
            "Hola, ya confirmamos tu pago: los nuevos salen hoy mismo.",
        ),
    ),
)

CLAIMS = (_MUGS, _COFFEE, _SHOES)
