"""Claims with their players, messages and files. Plain values, no I/O."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec.structs import replace

from mlmsg.sandbox.schemas.claims import (
    AvailableAction,
    ClaimAction,
    ClaimAttachment,
    ClaimDetail,
    ClaimDetails,
    ClaimMessage,
    ClaimStatus,
    ExpectedResolution,
    Player,
    Reputation,
    Resolution,
    Role,
    Stage,
)
from mlmsg.sandbox.schemas.dates import format_claim_date, later_date, parse_date

__all__ = ["Claim", "ClaimFile"]

# The receivers that each role may write to, by stage ("Messages claims", "Actions").
_RECEIVERS: dict[Stage, dict[Role, tuple[Role, ...]]] = {
    "claim": {
        "complainant": ("respondent",),
        "respondent": ("complainant",),
        "mediator": ("complainant", "respondent"),
    },
    "dispute": {"complainant": ("mediator",), "respondent": ("mediator",), "mediator": ()},
}
# The types of players, the mandatory actions and their due dates are the sandbox's own choices.
_PLAYER_TYPES: dict[Role, str] = {
    "complainant": "buyer",
    "respondent": "seller",
    "mediator": "internal",
}
_TIME_TO_ANSWER = timedelta(days=3)
_NO_EFFECT = Reputation("not_applies", False, None)


@dataclass(frozen=True, slots=True)
class _Texts:
    title: str
    description: str
    problem: str


_SPANISH = _Texts(
    "Reclamo por un producto con un problema",
    "Responde al comprador antes de la fecha indicada.",
    "El producto no es como el comprador lo esperaba",
)
_PORTUGUESE = _Texts(
    "Reclamação de um produto com problema",
    "Responda ao comprador antes da data indicada.",
    "O produto não é como o comprador esperava",
)


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """A file of a claim; `file_name` is the name in the response to the upload."""

    file_name: str
    data: bytes = field(repr=False)
    original_filename: str
    content_type: str
    date_created: str

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def attachment(self) -> ClaimAttachment:
        """Return the file as a message lists it, which is also its information."""
        return ClaimAttachment(
            filename=self.file_name,
            original_filename=self.original_filename,
            size=self.size,
            date_created=self.date_created,
            type=self.content_type,
        )


@dataclass(slots=True)
class Claim:
    """A claim; `messages` is newest first, as served, and `files` is by file name.

    All attributes may be changed at any time, and the next search finds the claim by them. A
    change of an attribute does not move `last_updated`; `Market.update_claim` does.

    Attributes:
        type: The type, such as `mediations`, `returns` or `cancel_sale`.
        resource: The kind of `resource_id`: `order`, `shipment`, `payment` or `purchase`.
        order_id: The order by which a search finds the claim; None for none.
        pack_id: The pack by which a search finds the claim.
        payment_id: The payment by which a search finds the claim.
        last_updated: The date of the last change; `date_created` by default.
        players: The players in the order of their arrival; change their `available_actions` at
            any time.
        actions: The history of the actions, oldest first.
        statuses: The history of the status, oldest first.
        reputation: The effect on the reputation of the seller.
        version_1: The claim is of "Claims 1.0": the v2 paths refuse it, /post-purchase/v1
            serves it.
    """

    id: str
    site_id: str
    status: str
    date_created: str
    version_1: bool = False
    stage: Stage = "claim"
    type: str = "mediations"
    resource: str = "order"
    resource_id: int = 0
    order_id: int | None = None
    pack_id: int | None = None
    payment_id: int | None = None
    parent_id: int | None = None
    reason_id: str = "PDD9939"
    fulfilled: bool = True
    quantity_type: str | None = "total"
    claimed_quantity: int = 1
    resolution: Resolution | None = None
    related_entities: list[str] = field(default_factory=list)
    last_updated: str = ""
    players: list[Player] = field(default_factory=list)
    messages: list[ClaimMessage] = field(default_factory=list)
    files: MutableMapping[str, ClaimFile] = field(default_factory=dict)
    actions: list[ClaimAction] = field(default_factory=list)
    statuses: list[ClaimStatus] = field(default_factory=list)
    expected_resolutions: list[ExpectedResolution] = field(default_factory=list)
    reputation: Reputation = _NO_EFFECT

    def __post_init__(self) -> None:
        self.last_updated = self.last_updated or self.date_created

    def add_player(self, role: Role, user_id: int, player_type: str | None = None) -> Player:
        """Add a player with the actions of the stage, and return it.

        Its type is by default `buyer` for the complainant, `seller` for the respondent and
        `internal` for the mediator. The actions of a `seller` are mandatory.

        Raises:
            ValueError: The claim already has a player with this role.
        """
        if any(player.role == role for player in self.players):
            raise ValueError(f"claim {self.id} already has a {role}")
        player_type = player_type or _PLAYER_TYPES[role]
        actions = self._available_actions(role, player_type)
        player = Player(role, player_type, user_id, actions)
        self.players.append(player)
        return player

    def player(self, role: Role) -> Player:
        """Return the player with this role.

        Raises:
            KeyError: The claim has no player with this role.
        """
        for player in self.players:
            if player.role == role:
                return player
        raise KeyError(role)

    def player_of(self, user_id: int) -> Player | None:
        """Return the player with this user id, or None."""
        return next((player for player in self.players if player.user_id == user_id), None)

    def renew_actions(self) -> None:
        """Give each player the actions of the present stage and status."""
        for player in self.players:
            player.available_actions = self._available_actions(player.role, player.type)

    def touch(self, at: str) -> None:
        """Move `last_updated` forward to this date; an earlier date changes nothing."""
        self.last_updated = later_date(self.last_updated, at)

    def row(self) -> ClaimDetails:
        """Return the claim as a search lists it."""
        return ClaimDetails(
            id=int(self.id),
            resource=self.resource,
            resource_id=self.resource_id,
            status=self.status,
            type=self.type,
            stage=self.stage,
            parent_id=self.parent_id,
            reason_id=self.reason_id,
            fulfilled=self.fulfilled,
            quantity_type=self.quantity_type,
            players=self.players,
            resolution=self.resolution,
            site_id=self.site_id,
            date_created=self.date_created,
            last_updated=self.last_updated,
        )

    def details(self) -> ClaimDetails:
        """Return the claim as its own path serves it."""
        return replace(
            self.row(),
            claim_version=1.0 if self.version_1 else 2.0,
            claimed_quantity=self.claimed_quantity,
            related_entities=self.related_entities,
        )

    def detail(self) -> ClaimDetail:
        """Return the texts of the claim, in Spanish or for the site MLB in Portuguese."""
        due_dates = (action.due_date for p in self.players for action in p.available_actions)
        texts = _PORTUGUESE if self.site_id == "MLB" else _SPANISH
        return ClaimDetail(
            due_date=next((date for date in due_dates if date), None),
            action_responsible="mediator" if self.stage == "dispute" else "seller",
            title=texts.title,
            description=texts.description,
            problem=texts.problem,
        )

    def _available_actions(self, role: Role, player_type: str) -> list[AvailableAction]:
        if self.status != "opened":
            return []
        # Only the seller has to answer before a date, in whichever role.
        mandatory = player_type == "seller"
        due = parse_date(self.date_created) + _TIME_TO_ANSWER
        due_date = format_claim_date(due) if mandatory else None
        return [
            AvailableAction(f"send_message_to_{receiver}", mandatory, due_date)
            for receiver in _RECEIVERS[self.stage][role]
        ]
