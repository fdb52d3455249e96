"""Regular expressions that are compiled when they are first used.

To compile all of them takes longer than to import the package without them, and most programs use
few of them.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import AnyStr, Generic

__all__ = ["LazyPattern"]


class LazyPattern(Generic[AnyStr]):
    """A regular expression, with the methods of a compiled one.

    Attributes:
        pattern: The text of the expression.
    """

    def __init__(self, pattern: AnyStr, flags: int = 0) -> None:
        self.pattern: AnyStr = pattern
        self._flags = flags

    def __repr__(self) -> str:
        return f"LazyPattern({self.pattern!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LazyPattern):
            return NotImplemented
        return bool(self.pattern == other.pattern and self._flags == other._flags)

    def __hash__(self) -> int:
        return hash((self.pattern, self._flags))

    @cached_property
    def _compiled(self) -> re.Pattern[AnyStr]:
        return re.compile(self.pattern, self._flags)

    @cached_property
    def match(self) -> Callable[[AnyStr], re.Match[AnyStr] | None]:
        """The method of the compiled expression."""
        return self._compiled.match

    @cached_property
    def search(self) -> Callable[[AnyStr], re.Match[AnyStr] | None]:
        """The method of the compiled expression."""
        return self._compiled.search

    @cached_property
    def fullmatch(self) -> Callable[[AnyStr], re.Match[AnyStr] | None]:
        """The method of the compiled expression."""
        return self._compiled.fullmatch

    @cached_property
    def findall(self) -> Callable[[AnyStr], list[tuple[AnyStr, ...]]]:
        """The method of the compiled expression. It must have more than one group."""
        return self._compiled.findall

    @cached_property
    def split(self) -> Callable[[AnyStr], list[AnyStr]]:
        """The method of the compiled expression. It must have one group, or none."""
        return self._compiled.split

    def sub(
        self,
        replacement: AnyStr | Callable[[re.Match[AnyStr]], AnyStr],
        text: AnyStr,
        count: int = 0,
    ) -> AnyStr:
        """Replace every match, or the first `count` ones."""
        return self._compiled.sub(replacement, text, count)
