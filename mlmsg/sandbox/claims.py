"""Claims with their players, messages and files. Plain values, no I/O."""

from dataclasses import dataclass, field
from datetime import timedelta

from mlmsg.sandbox.schemas.claims import (
    AvailableAction,
    ClaimAttachment,
    ClaimDetails,
    ClaimMessage,
    Player,
    Role,
    Stage,
)
from mlmsg.sandbox.schemas.dates import format_claim_date, parse_date

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
_PLAYER_TYPES: dict[Role, str] = {
    "complainant": "buyer",
    "respondent": "seller",
    "mediator": "internal",
}
_TIME_TO_ANSWER = timedelta(days=3)


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

    Attributes:
        players: The players in the order of their arrival; change their `available_actions` at
            any time.
        version_1: The claim is of "Claims 1.0": the v2 paths refuse it, /post-purchase/v1
            serves it.
    """

    id: str
    site_id: str
    status: str
    date_created: str
    version_1: bool = False
    stage: Stage = "claim"
    players: list[Player] = field(default_factory=list)
    messages: list[ClaimMessage] = field(default_factory=list)
    files: dict[str, ClaimFile] = field(default_factory=dict)

    def add_player(self, role: Role, user_id: int) -> Player:
        """Add a player with the actions of the stage, and return it.

        Raises:
            ValueError: The claim already has a player with this role.
        """
        if any(player.role == role for player in self.players):
            raise ValueError(f"claim {self.id} already has a {role}")
        player = Player(role, _PLAYER_TYPES[role], user_id, self._available_actions(role))
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

    def enter(self, stage: Stage) -> None:
        """Change the stage, and give each player its actions; add a mediator to a dispute."""
        self.stage = stage
        for player in self.players:
            player.available_actions = self._available_actions(player.role)

    def details(self) -> ClaimDetails:
        """Return the claim as its own path serves it."""
        newest = self.messages[0].date_created if self.messages else self.date_created
        return ClaimDetails(
            id=int(self.id),
            type="mediations",
            stage=self.stage,
            status=self.status,
            players=self.players,
            site_id=self.site_id,
            date_created=self.date_created,
            last_updated=newest,
        )

    def _available_actions(self, role: Role) -> list[AvailableAction]:
        if self.status != "opened":
            return []
        # Only the seller has to answer before a date.
        mandatory = role == "respondent"
        due = parse_date(self.date_created) + _TIME_TO_ANSWER
        due_date = format_claim_date(due) if mandatory else None
        return [
            AvailableAction(f"send_message_to_{receiver}", mandatory, due_date)
            for receiver in _RECEIVERS[self.stage][role]
        ]
