"""The catalogue in the store: immutable parts, and an immutable manifest for each state, which names them.

The manifest is written last, and the one of the highest number counts. Of updates at once only one can write that of
the next number. What is replaced is deleted right after: whoever reads meanwhile and misses a part reads the next
state. Every update says that it has begun before it writes a part, so that what a killed one left
is found without looking at everything. (No name in the folder can be that of a video.)
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import AwareDatetime, ValidationError

from madvision_assets.domain.catalogue import SCHEMA_VERSION, Manifest
from madvision_assets.domain.failures import MissingInputError, NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.provenance import Value
from madvision_assets.tools.store.objects import ObjectStore

FOLDER = "catalogue"
MANIFESTS, BEGUN, TABLES = f"{FOLDER}/.manifests", f"{FOLDER}/.begun", f"{FOLDER}/tables.parquet"
JSON_MEDIA_TYPE = "application/json"
# So often a reader begins again where an update has replaced what it was about to read.
READ_TRIES = 5
# An update that began so long ago is dead.
DEAD_AFTER = timedelta(hours=6)


class _Versioned(Value):
    """All that is asked of a manifest, whichever version wrote it."""

    schema_version: int


class Begun(Value):
    """What an update says before it writes anything else: when it began."""

    begun_at: AwareDatetime


class Shelf:
    """Where the catalogue lies. Every method raises as ``ObjectStore`` does.

    Args:
        store: in it.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    @property
    def uri(self) -> str:
        """Of the folder."""
        return self.store.uri(FOLDER)

    def current(self) -> Manifest | None:
        """The state that counts; None where there is no catalogue.

        Raises:
            MissingInputError: others have come to count again and again at that moment.
            NewerDocumentError: a newer version of this program wrote it; names the key.
            UnreadableDocumentError: it is damaged; names the key.
        """
        for _ in range(READ_TRIES):
            with suppress(MissingInputError):  # another one has come to count since it was asked which does
                return self._current()
        return self._current()

    def current_number(self) -> int:
        """Its number; 0 where there is none."""
        return max((number_of(_name(key)) for key in self.store.list_keys(MANIFESTS)), default=0)

    def parts(self) -> Iterator[str]:
        """Keys of all parts that lie there, whichever states have them."""
        return self.store.list_keys(TABLES)

    def begin(self, update: str, now: datetime) -> None:
        """An update of this name writes parts from now on."""
        self._put(f"{BEGUN}/{update}.json", Begun(begun_at=now))

    def has_begun(self, update: str) -> bool:
        """Whether an update is under way, and was not taken for dead."""
        return self.store.exists(f"{BEGUN}/{update}.json")

    def is_begun(self) -> bool:
        """Whether any update is under way, or was killed and is not taken for dead yet."""
        return any(True for _ in self.store.list_keys(BEGUN))

    def part_key(self, update: str, table: str, part: str) -> str:
        """Where an update puts a part of a table."""
        return f"{TABLES}/{update}/{table}/{part}.parquet"

    def commit(self, state: Manifest) -> bool:
        """Make a state the one that counts; False where another update was there first, or is at the next one already.

        Raises:
            MissingInputError: likewise.
        """
        key = _manifest_key(state.number)
        if not self._put(key, state, if_absent=True):
            return False
        if self.current_number() > state.number:  # the manifest of this number was there, and is not needed any more
            self.store.delete([key])
            return False
        # Of writers at once some stores let several win (see ``put_bytes``): the last one has.
        return self._manifest(state.number).update == state.update

    def sweep(self, state: Manifest | None, now: datetime) -> None:
        """End the update of the state that counts, and delete what others left that were killed."""
        number, kept = (state.number, state.keys()) if state else (0, frozenset[str]())
        for key in sorted(self.store.list_keys(BEGUN)):
            update = _name(key)
            is_dead = self._is_dead(key, now)
            if state and update == state.update:
                self.tidy(state)
            elif is_dead or number_of(update) <= number:  # a loser that still writes deletes the rest by itself
                self.drop(set(self.store.list_keys(f"{TABLES}/{update}")) - kept)
                if is_dead:
                    self.end(update)

    def tidy(self, state: Manifest) -> None:
        """Delete what the state that counts has replaced; its update is over then."""
        self.drop(state.replaced)
        self.store.delete(
            sorted(key for key in self.store.list_keys(MANIFESTS) if number_of(_name(key)) < state.number)
        )
        self.end(state.update)

    def end(self, update: str) -> None:
        """An update of this name is over, and has left nothing."""
        self.store.delete([f"{BEGUN}/{update}.json"])

    def drop(self, keys: Iterable[str]) -> None:
        """Delete these; and, in a folder, the folders that are empty then."""
        doomed = sorted(keys)
        if doomed:
            self.store.delete(doomed)
        for path in map(self.store.local_path, doomed):
            for folder in path.parents[:2] if path is not None else ():
                with suppress(OSError):  # it is not empty
                    folder.rmdir()

    # --- details ---

    def _current(self) -> Manifest | None:
        number = self.current_number()
        return self._manifest(number) if number else None

    def _manifest(self, number: int) -> Manifest:
        key = _manifest_key(number)
        data = self.store.get_bytes(key)
        try:
            version = _Versioned.model_validate_json(data, extra="ignore").schema_version
            if version > SCHEMA_VERSION:
                raise NewerDocumentError(f"{key} is of schema version {version}")
            return Manifest.model_validate_json(data, extra="ignore")
        except ValidationError as error:
            raise UnreadableDocumentError(f"{key} is damaged; madvision catalogue --anew makes it anew") from error

    def _is_dead(self, key: str, now: datetime) -> bool:
        try:
            return Begun.model_validate_json(self.store.get_bytes(key)).begun_at < now - DEAD_AFTER
        except (MissingInputError, ValidationError):
            return True

    def _put(self, key: str, told: Value, *, if_absent: bool = False) -> bool:
        data = told.model_dump_json().encode()
        return self.store.put_bytes(key, data, if_absent=if_absent, media_type=JSON_MEDIA_TYPE)


def name_of_update(number: int, token: str) -> str:
    """The name of an update that wants to make the state of this number."""
    return f"{number:08d}-{token}"


def number_of(update: str) -> int:
    """The number of the state that an update of this name wants to make; 0 where it is no such name."""
    digits = update.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _manifest_key(number: int) -> str:
    return f"{MANIFESTS}/{number:08d}.json"
