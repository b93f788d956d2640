"""Where the user wrote a setting: a line of the run file, or an argument of the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from raytao.errors import UserError, Where
from raytao.spec import located
from raytao.tao.automl.keys import setting_named
from raytao.types import Json

Keys = Sequence[str | int]


@dataclass(frozen=True)
class Places:
    """Finds the place of a setting, for error messages.

    Args:
        file: the run file's name, for people.
        node: its YAML node; None where there is no file.
        assignments: ``key=value`` arguments that override it.
        taos: settings that the file has under names of TAO's, dotted, and the keys it has there.
    """

    file: str
    node: Json = None
    assignments: tuple[str, ...] = ()
    taos: Mapping[str, Keys] = field(default_factory=dict)

    def __call__(self, keys: Keys, *, within: bool = False) -> Where:
        """The place of a nested key; of the nearest enclosing one that was written.

        Args:
            keys: the path to it.
            within: an argument that made something below it may be the place, too, unless it
                only changed what the file has there.
        """
        dotted_keys = ".".join(str(key) for key in keys)
        dotted = dotted_keys.removeprefix("set.")
        for assignment in self.assignments:
            written = assignment.partition("=")[0]
            if written and _is_within(dotted, setting_named(written)):
                return Where(f"the argument {assignment!r}")
        path: Keys = self._written(dotted_keys)
        known = ".".join(str(key) for key in path)
        merged = known == dotted_keys and isinstance(self._at(path), Mapping)
        for assignment in self.assignments if within and not merged else ():
            if _is_within(setting_named(assignment.partition("=")[0]), dotted):
                return Where(f"the argument {assignment!r}")
        for setting, keys in self.taos.items():
            if _is_within(dotted_keys, setting) and not _is_within(known, setting):
                path = keys
        return located(self.node, *path, file=self.file) if path else Where(self.file)

    def _at(self, path: Keys) -> Json:
        """What the file has there."""
        node = self.node
        for key in path:
            node = node[key]
        return node

    def _written(self, dotted: str) -> list[str | int]:
        """The keys as the file has them: ``a.b.c`` may be written nested, dotted or mixed."""
        node, rest, path = self.node, dotted.split("."), list[str | int]()
        while rest and isinstance(node, Mapping | list):
            if isinstance(node, list):
                if not rest[0].isdigit() or int(rest[0]) >= len(node):
                    break
                path.append(int(rest[0]))
                node, rest = node[int(rest[0])], rest[1:]
                continue
            lengths = range(len(rest), 0, -1)
            found = next((n for n in lengths if ".".join(rest[:n]) in node), None)
            if found is None:
                break
            key = ".".join(rest[:found])
            path.append(key)
            node, rest = node[key], rest[found:]
        return path

    @contextmanager
    def blame(self, suspects: Mapping[str, Keys], *, always: bool = False) -> Iterator[None]:
        """Give errors from below a place: that of the first suspect whose name they mention.

        Args:
            suspects: what a message may mention -> the setting to point at.
            always: also where the error has a place, for it is not where the mistake was made.
        """
        try:
            yield
        except UserError as error:
            if error.where is not None and not always:
                raise
            for name, keys in suspects.items():
                if name in error.message:
                    where = self(keys)
                    raise type(error)(error.message, where=where, remedy=error.remedy) from error
            raise


def _is_within(dotted: str, setting: str) -> bool:
    """Whether a dotted key is a setting's, or one below it."""
    return dotted == setting or dotted.startswith(f"{setting}.")
