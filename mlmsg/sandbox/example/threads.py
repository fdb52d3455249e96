"""The threads of the example market, oldest message first. All people and things are invented."""

from dataclasses import dataclass

from mlmsg.sandbox.packs import Author

__all__ = ["THREADS", "ScriptedFile", "ScriptedMessage", "ThreadScript"]


@dataclass(frozen=True, slots=True)
class ScriptedFile:
    """An attachment: the file of this package, and the name that its sender gave it."""

    source: str
    original_filename: str
    content_type: str
    potential_security_threat: bool = False


@dataclass(frozen=True, slots=True)
class ScriptedMessage:
    """A message; `translated` is the text in the language of the seller."""

    at: str
    author: Author
    text: str
    translated: str | None = None
    files: tuple[ScriptedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class ThreadScript:
    """A pack and its thread."""

    pack_id: int
    site_id: str
    buyer_id: int
    buyer_name: str
    seller_name: str
    shipping_id: int
    messages: tuple[ScriptedMessage, ...]


_MUG = ThreadScript(
    pack_id=2000007001000011,
    site_id="MLM",
    buyer_id=700200011,
    buyer_name="Mariana",
    seller_name="Tienda Ejemplo",
    shipping_id=43001000011,
    messages=(
        ScriptedMessage(
            "2024-08-17T15:02:11Z",
            "buyer",
            "Hola, buenos días. Acabo de comprar la taza y los posavasos, ¿cuándo los envían?",
            "Hi, good morning. I just bought the mug and the coasters, when do you ship them?",
        ),
        ScriptedMessage(
            "2024-08-17T16:20:45Z",
            "seller",
            "¡Hola, Mariana! Gracias por tu compra. Mañana temprano sale tu paquete.",
        ),
        ScriptedMessage(
            "2024-08-18T16:31:02Z",
            "seller",
            "Tu paquete ya va en camino, el número de envío es MX-SANDBOX-000042.",
        ),
        ScriptedMessage(
            "2024-08-22T22:14:37Z",
            "buyer",
            "Dice que está demorado y que no había nadie, pero estuve en casa todo el día. "
            "Les mando la captura.",
            "It says it is delayed and that nobody was in, but I was at home all day. "
            "Here is the screenshot.",
            (
                ScriptedFile(
                    "tracking.png",
                    "Captura de pantalla 2024-08-22 a la(s) 4.12.28 p.m..png",
                    "image/png",
                ),
            ),
        ),
        ScriptedMessage(
            "2024-08-22T22:40:09Z",
            "seller",
            "Qué pena, Mariana. Ya levantamos un reporte con la paquetería: vuelven a pasar "
            "mañana entre 10 y 14 h.",
        ),
        ScriptedMessage(
            "2024-08-22T23:05:51Z",
            "buyer",
            "Gracias. ¿Me pueden mandar también la factura? La necesito para la oficina.",
            "Thank you. Could you send me the invoice as well? I need it for the office.",
        ),
        ScriptedMessage(
            "2024-08-23T15:11:20Z",
            "seller",
            "Claro que sí, aquí va tu factura en PDF.",
            files=(ScriptedFile("factura.pdf", "Factura F-2291.pdf", "application/pdf"),),
        ),
        ScriptedMessage(
            "2024-08-23T19:18:03Z",
            "buyer",
            "Ya llegó, pero la caja venía abierta de una esquina y la taza sin asa 😕",
            "It has arrived, but one corner of the box was open and the mug has no handle 😕",
            (
                ScriptedFile("damaged-box.jpg", "Caja dañada.jpg", "image/jpeg"),
                ScriptedFile("broken-mug.jpg", "IMG_20240823_131455.jpg", "image/jpeg"),
            ),
        ),
        ScriptedMessage(
            "2024-08-23T19:19:26Z",
            "buyer",
            "Los posavasos sí llegaron bien.",
            "The coasters did arrive in good shape.",
        ),
        ScriptedMessage(
            "2024-08-23T20:02:44Z",
            "seller",
            "Lamentamos mucho lo de la taza. ¿Prefieres que te mandemos otra o el reembolso?",
        ),
        ScriptedMessage(
            "2024-08-23T20:10:58Z",
            "buyer",
            "Otra, por favor, es un regalo. ¿Tengo que devolver la rota?",
            "Another one, please, it is a present. Do I have to return the broken one?",
        ),
        ScriptedMessage(
            "2024-08-23T20:25:13Z",
            "seller",
            "No hace falta. Mañana sale una nueva con doble protección, sin costo para ti.",
        ),
        ScriptedMessage(
            "2024-08-27T17:45:30Z",
            "buyer",
            "¡Llegó perfecta! Muchas gracias por la atención.",
            "It arrived in perfect shape! Thank you very much for your help.",
        ),
        ScriptedMessage(
            "2024-08-27T18:01:07Z",
            "seller",
            "¡Qué gusto leerlo! Gracias a ti, Mariana.",
        ),
    ),
)

_COFFEE = ThreadScript(
    pack_id=2000007001000022,
    site_id="MLB",
    buyer_id=700200022,
    buyer_name="Beatriz",
    seller_name="Loja Exemplo",
    shipping_id=43001000022,
    messages=(
        ScriptedMessage(
            "2024-09-03T12:04:19Z",
            "buyer",
            "Bom dia! Comprei a cafeteira ontem. Vocês emitem nota fiscal?",
            "Good morning! I bought the coffee maker yesterday. Do you issue an invoice?",
        ),
        ScriptedMessage(
            "2024-09-03T13:37:52Z",
            "seller",
            "Bom dia, Beatriz! Sim, a nota fiscal segue em anexo.",
            files=(ScriptedFile("nota-fiscal.pdf", "nota fiscal nº 1042.pdf", "application/pdf"),),
        ),
        ScriptedMessage(
            "2024-09-03T13:50:08Z",
            "buyer",
            "Recebi, obrigada. Ela é 127 V mesmo?",
            "Got it, thank you. It really is 127 V, right?",
        ),
        ScriptedMessage(
            "2024-09-03T14:02:31Z", "seller", "Isso mesmo, 127 V. Já saiu para entrega."
        ),
        ScriptedMessage(
            "2024-09-09T21:15:44Z",
            "buyer",
            "Chegou hoje, mas não liga. Já testei em duas tomadas.",
            "It arrived today, but it does not turn on. I have tried two sockets.",
        ),
        ScriptedMessage(
            "2024-09-10T12:08:05Z",
            "seller",
            "Poxa, sentimos muito! Pode nos mandar uma foto da etiqueta com o número de série?",
        ),
        ScriptedMessage(
            "2024-09-10T22:31:17Z",
            "buyer",
            "Segue a foto. Está embaixo da base.",
            "Here is the photo. It is under the base.",
            (ScriptedFile("serial-number.jpg", "número de série.jpg", "image/jpeg"),),
        ),
        ScriptedMessage(
            "2024-09-11T11:59:40Z",
            "seller",
            "Obrigado! A troca foi autorizada: a nova sai amanhã, e a coleta da antiga é no "
            "mesmo dia da entrega.",
        ),
    ),
)

_SHOES = ThreadScript(
    pack_id=2000007001000033,
    site_id="MCO",
    buyer_id=700200033,
    buyer_name="Camila",
    seller_name="Tienda Ejemplo",
    shipping_id=43001000033,
    messages=(
        ScriptedMessage(
            "2024-09-10T19:22:10Z",
            "buyer",
            "Buenas tardes, ¿los tenis tallan normal? Yo uso 38.",
            "Good afternoon, do the shoes run true to size? I wear a 38.",
        ),
        ScriptedMessage(
            "2024-09-10T20:01:33Z",
            "seller",
            "Hola, Camila. Le compartimos la guía de tallas para que compare.",
            files=(ScriptedFile("size-chart.png", "Guía de tallas.png", "image/png"),),
        ),
        ScriptedMessage(
            "2024-09-10T20:40:55Z",
            "buyer",
            "Mi pie mide 24,8 cm, entonces mejor me los cambian por 39. ¿Se puede?",
            "My foot measures 24.8 cm, so I had better change them for a 39. Is that possible?",
        ),
        ScriptedMessage(
            "2024-09-11T13:15:28Z",
            "seller",
            "Con mucho gusto. La talla 39 tiene una diferencia de $12.000.",
        ),
        ScriptedMessage(
            "2024-09-11T15:06:02Z",
            "buyer",
            "Listo, ya pagué la diferencia. Adjunto el comprobante.",
            "Done, I have paid the difference. The receipt is attached.",
            (
                ScriptedFile(
                    "comprobante.pdf",
                    "comprobante de pago (1).pdf",
                    "application/pdf",
                    potential_security_threat=True,
                ),
            ),
        ),
    ),
)

_LAMP = ThreadScript(
    pack_id=2000007001000044,
    site_id="MLA",
    buyer_id=700200044,
    buyer_name="Lucía",
    seller_name="Tienda Ejemplo",
    shipping_id=43001000044,
    messages=(
        ScriptedMessage(
            "2024-09-16T14:30:00Z",
            "buyer",
            "Hola, ¿la lámpara llega a Capital antes del viernes?",
            "Hi, will the lamp get to the capital before Friday?",
        ),
        ScriptedMessage(
            "2024-09-16T15:12:47Z",
            "seller",
            "¡Hola, Lucía! Sí, ya salió. Te dejo la etiqueta del envío.",
            files=(ScriptedFile("etiqueta.pdf", "Etiqueta de envío.pdf", "application/pdf"),),
        ),
        ScriptedMessage(
            "2024-09-16T15:20:36Z",
            "buyer",
            "Genial, mil gracias. Si no estoy, dejásela al encargado, por favor.",
            "Great, thanks a lot. If I am not in, please leave it with the doorman.",
        ),
    ),
)

THREADS = (_MUG, _COFFEE, _SHOES, _LAMP)
