"""What to do about the API's messages, after the table of solutions in "Post-sale messages"."""

import re

__all__ = ["hint_for"]

_HINTS = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r"attachment empty or null", "Attach a file that is not empty"),
        (r"file name cannot include", "Take / and \\ out of the file name"),
        (r"file size exceeds", "Send a file of at most 25 MB"),
        (r"exceeds allowed number of attachments", "Attach at most 25 files"),
        (r"messages id empty or invalid", "Pass the id of a message"),
        (r"specified message id: .* does not exist", "Look the id up in the thread of its pack"),
        (r"messages from multiple orders", "Ask for messages of one order at a time"),
        (r"limit param must be greater", "Pass a limit greater than 0"),
        (r"invalid offset or limit", "Pass a limit and an offset that are whole numbers"),
        (r"access token is required", "Pass an access token to the Client"),
        (r"malformed access_token", "Pass the bare access token, as the API gave it out"),
        (r"text is required", "Pass a text that is not empty"),
        (r"access token invalid for resource", "Use the token of a user who may see this"),
        (r"can not identify the user", "Use the token of the seller of this order"),
        (r"option other again", "The message limit is reached: wait for the buyer to answer"),
        (r"could not be retrieved from storage", "Try again in a few seconds, or check the id"),
        (r"order do not exist", "Check the pack id"),
        (r"(requested file could not be obtained|file can not be accessed)", "Try again later"),
        (r"file can not be saved", "Upload it again"),
    )
)


def hint_for(message: str) -> str:
    """What the documents say to do about this message of the API, or `""`."""
    return next((hint for pattern, hint in _HINTS if pattern.search(message)), "")
