"""Claims with their players, messages and files. Plain values, no I/O."""

from dataclasses import dataclass, field
from datetime import timedelta

from mlmsg.sandbox._dates import claim_date, moment_of
from mlmsg.sandbox.claim_shapes import (
    AvailableAction,
    ClaimAttachment,
    ClaimDetails,
    ClaimMessage,
    Player,
    Role,
    Stage,
)

__all__ = ["Claim", "ClaimFile"]

# "Messages claims", "Actions": who may write to whom, by stage.
_RECEIVERS: dict[Stage, dict[Role, tuple[Role, ...]]] = {
    "claim": {
        "complainant": ("respondent",),
        "respondent": ("complainant",),
        "mediator": ("complainant", "respondent"),
    },
    "dispute": {"complainant": ("mediator",), "respondent": ("mediator",), "mediator": ()},
}
_TYPES: dict[Role, str] = {"complainant": "buyer", "respondent": "seller", "mediator": "internal"}
_TIME_TO_ANSWER = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """A file of a claim; `file_name` is what the upload answered."""

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
        """The file as it is listed in a message, and as its information is answered."""
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
        players: In the order they came in; their `available_actions` may be changed at will.
        version_1: It is of "Claims 1.0": the v2 paths refuse it, /post-purchase/v1 answers.
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
        """Let a user take part, with the actions of the stage; one player per role."""
        if any(player.role == role for player in self.players):
            raise ValueError(f"claim {self.id} already has a {role}")
        player = Player(role, _TYPES[role], user_id, self._actions(role))
        self.players.append(player)
        return player

    def player(self, role: Role) -> Player:
        """The player with this role; KeyError if there is none."""
        for player in self.players:
            if player.role == role:
                return player
        raise KeyError(role)

    def player_of(self, user_id: int) -> Player | None:
        """The player that this user is, or None."""
        return next((player for player in self.players if player.user_id == user_id), None)

    def enter(self, stage: Stage) -> None:
        """Go on to a stage and give each player its actions; a dispute wants a mediator added."""
        self.stage = stage
        for player in self.players:
            player.available_actions = self._actions(player.role)

    def details(self) -> ClaimDetails:
        """The claim as its own path answers it."""
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

    def _actions(self, role: Role) -> list[AvailableAction]:
        if self.status != "opened":
            return []
        # The seller is the one who has to answer in time.
        mandatory = role == "respondent"
        until = claim_date(moment_of(self.date_created) + _TIME_TO_ANSWER) if mandatory else None
        return [
            AvailableAction(f"send_message_to_{receiver}", mandatory, until)
            for receiver in _RECEIVERS[self.stage][role]
        ]
