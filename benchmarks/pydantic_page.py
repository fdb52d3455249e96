"""The page of a thread as models of pydantic, with the fields that the others decode."""

from datetime import datetime

from pydantic import BaseModel, Field

__all__ = ["Page"]


class Dates(BaseModel):
    """The dates of a message."""

    created: datetime | None = None
    received: datetime | None = None
    available: datetime | None = None
    notified: datetime | None = None
    read: datetime | None = None


class Person(BaseModel):
    """A sender or recipient."""

    user_id: int
    name: str


class Moderation(BaseModel):
    """The moderation of a message."""

    status: str
    reason: str | None = None
    source: str | None = None


class Resource(BaseModel):
    """A resource of a message."""

    id: str
    name: str


class Message(BaseModel):
    """A message."""

    id: str
    site_id: str
    sender: Person = Field(alias="from")
    to: Person
    status: str
    text: str
    message_date: Dates
    message_moderation: Moderation
    message_resources: list[Resource]


class Page(BaseModel):
    """A page."""

    messages: list[Message]
