"""Whether two regular expressions can match the same text: the product of their automata, searched for a witness.

The automata match more than the expressions, never less (atomic groups give characters back, ``{2,5}`` is ``{2,}``, of
look-arounds only those that exclude one character are kept): where they share no text, the expressions share none.
"""

from __future__ import annotations

import re
from collections import deque
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_CHARACTERS = [chr(code) for code in range(128)] + ["\u00e9"]
_LEFT_OUT = {sre.ASSERT, sre.ASSERT_NOT, sre.AT}
_NONE: frozenset[str] = frozenset()

# A state, and the characters that must not come next.
State = tuple[int, frozenset[str]]


class Automaton:
    """A nondeterministic automaton: ``steps[state]`` is what each set of characters leads to."""

    def __init__(self, pattern: str) -> None:
        self.steps: list[list[tuple[frozenset[str], int]]] = []
        self.empty: list[list[int]] = []
        self.excluded: dict[int, tuple[int, frozenset[str], int]] = {}  # before (-1) or after (1) it, and what follows
        self._after: dict[tuple[frozenset[State], str], frozenset[State]] = {}
        self.start = self._state()
        self.end = self._sequence(parser.parse(pattern, re.ASCII | re.DOTALL), self.start)

    def _state(self) -> int:
        self.steps.append([])
        self.empty.append([])
        return len(self.steps) - 1

    def _sequence(self, nodes: Any, state: int) -> int:
        for kind, value in nodes:
            state = self._node(kind, value, state)
        return state

    def _node(self, kind: Any, value: Any, state: int) -> int:
        if kind is sre.ASSERT_NOT and len(value[1]) == 1 and value[1][0][0] in {sre.LITERAL, sre.IN}:
            before, after = self._state(), self._state()
            self.empty[state].append(before)
            self.excluded[before] = (value[0], _set(*value[1][0]), after)
            return after
        if kind in _LEFT_OUT:
            return state
        if kind is sre.SUBPATTERN:
            return self._sequence(value[-1], state)
        if kind is sre.ATOMIC_GROUP:
            return self._sequence(value, state)
        after = self._state()
        if kind is sre.BRANCH:
            for branch in value[1]:
                self.empty[self._sequence(branch, state)].append(after)
        elif kind in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            low, high, inner = value
            for _ in range(low):
                state = self._sequence(inner, state)
            self.empty[state].append(after)
            if high != low:
                self.empty[self._sequence(inner, after)].append(after)
        else:
            self.steps[state].append((_set(kind, value), after))
        return after

    def begin(self) -> frozenset[State]:
        """The states before the first character."""
        return self._closure({(self.start, _NONE)}, "")

    def after(self, states: frozenset[State], char: str) -> frozenset[State]:
        """The states after one more character."""
        if (states, char) not in self._after:
            steps = {
                (to, _NONE)
                for state, never in states
                if char not in never
                for chars, to in self.steps[state]
                if char in chars
            }
            self._after[states, char] = self._closure(steps, char)
        return self._after[states, char]

    def _closure(self, states: set[State], last: str) -> frozenset[State]:
        todo = list(states)
        while todo:
            state, never = todo.pop()
            following = [(to, never) for to in self.empty[state]]
            if state in self.excluded:
                direction, chars, to = self.excluded[state]
                if direction > 0:
                    following.append((to, never | chars))
                elif last not in chars:
                    following.append((to, never))
            todo += [found for found in following if found not in states]
            states.update(following)
        return frozenset(states)

    def accepts(self, states: frozenset[State]) -> bool:
        """Whether the text may end here."""
        return any(state == self.end for state, _ in states)


def _set(kind: Any, value: Any) -> frozenset[str]:
    """The characters that one character of a pattern stands for; all but ASCII are one."""
    one = parser.SubPattern(parser.State(), [(kind, value)])
    compiled = re._compiler.compile(one, re.ASCII | re.DOTALL)  # type: ignore[attr-defined]  # noqa: SLF001
    return frozenset(char for char in _CHARACTERS if compiled.fullmatch(char))


def common(first: Automaton, second: Automaton) -> str | None:
    """The shortest text that both match, or None."""
    sets = {chars for automaton in (first, second) for steps in automaton.steps for chars, _ in steps}
    kinds: dict[tuple[bool, ...], str] = {}
    for char in reversed(_CHARACTERS):
        kinds[tuple(char in chars for chars in sets)] = char
    begin = (first.begin(), second.begin())
    came: dict[Any, tuple[Any, str]] = {begin: (None, "")}
    todo = deque([begin])
    while todo:
        here: Any = todo.popleft()
        if first.accepts(here[0]) and second.accepts(here[1]):
            text = ""
            while here:
                here, char = came[here]
                text = char + text
            return text
        for char in kinds.values():
            there = (first.after(here[0], char), second.after(here[1], char))
            if all(there) and there not in came:
                came[there] = (here, char)
                todo.append(there)
    return None
