"""What scripts return: envelopes, images and tables."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from asynctasks.exceptions import (
    InvalidArgument,
    NotFound,
    RemoteProtocolError,
    RequestRejected,
    TaskCancelled,
    TaskFailed,
)
from asynctasks.sansio import codec
from asynctasks.sansio.http import Response
from asynctasks.sansio.oml_results import (
    Image,
    decode_images,
    open_result,
    parse_failure,
    rows_of,
)
from asynctasks.sansio.task import TaskState, TaskStatus
from tests.sansio.oml_samples import answer_of, exchange


def result(document: Any, status: int = 200) -> Response:
    return Response(status, body=codec.dumps(document))


@pytest.mark.parametrize("value", [None, 0, "", [], {}, [{"A": 1e-4}], {"B": None}])
def test_envelope(value: Any) -> None:
    """What the script returned is taken out of its envelope."""
    assert value == open_result(result({"result": value}), "J1").json()


@pytest.mark.parametrize("status", [200, 400, 500])
def test_failure(status: int) -> None:
    """A message is a failure under any status that a script's answer may have."""
    document = {"errorMessage": "bad", "errorCode": 1024}
    with pytest.raises(TaskFailed, match="bad") as caught:
        open_result(result(document, status), "J1")

    assert caught.value.status == TaskStatus(state=TaskState.FAILED, message="bad")
    assert ("J1", "") == (caught.value.task_id, caught.value.token)


def test_cancelled() -> None:
    """A message after a cancel was asked for is the cancel."""
    asked = TaskStatus(state=TaskState.RUNNING, cancel_requested=True, word="running")
    with pytest.raises(TaskCancelled) as caught:
        open_result(result({"errorMessage": "gone"}), "J1", asked)

    assert caught.value.status is not None
    assert (TaskState.CANCELLED, "gone", "running", True) == (
        caught.value.status.state,
        caught.value.status.message,
        caught.value.status.word,
        caught.value.status.done,
    )


def test_refusal() -> None:
    """A status that speaks of the request is a refusal, whatever its words."""
    document = {"errorMessage": "not ready"}

    with pytest.raises(NotFound, match="not ready"):
        open_result(result(document, 404), "J1")
    with pytest.raises(RequestRejected):
        open_result(result({"message": "bad"}, 400), "J1")


@pytest.mark.parametrize("document", [[], 1, {"value": 1}])
def test_no_envelope(document: Any) -> None:
    """A result without its envelope is against the documentation."""
    with pytest.raises(RemoteProtocolError, match=r"\$\.result"):
        open_result(result(document), "J1")


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (result({"errorMessage": "bad"}), "bad"),
        (result({"errorMessage": {"a": 1}}), '{"a":1}'),
        (result({"errorMessage": "bad"}, 404), None),
        (result({"result": 1}), None),
        (result(["errorMessage"]), None),
        (Response(500, body=b"<html>"), None),
    ],
)
def test_words_of_a_failure(response: Response, words: str | None) -> None:
    """Words are found where there are some."""
    assert words == parse_failure(response)


# --- images ------------------------------------------------------------------

NO_DATA = {"IMAGE": "", "DATA": "{"}


def test_documented_image() -> None:
    """The documented example gives the bytes of a PNG and the value beside it."""
    rows = open_result(answer_of("v1-sync-do-eval-graphics"), "f").json()
    (image,) = decode_images(rows)

    assert (1, b"\x89PNG\r\n\x1a\n") == (image.id, image.content)
    assert [{"id": 1, "val": 0.01}, {"id": 2, "val": 0.02}] == image.data


def test_image_without_data() -> None:
    """Images are numbered, and may come with a value that is no text, or none."""
    picture = base64.b64encode(b"png").decode()

    assert [Image(1, b"png", {"a": 1}), Image(2, b"png")] == decode_images(
        [{"IMAGE": picture, "DATA": {"a": 1}}, {"IMAGE": picture}]
    )
    assert [Image(1, b"png")] == decode_images({"IMAGE": picture})


@pytest.mark.parametrize(
    "value",
    [[1], None, "text", {"A": 1}, {"IMAGE": "%%"}, {"IMAGE": 5}, NO_DATA],
)
def test_no_image(value: Any) -> None:
    """What holds no images is refused."""
    with pytest.raises(InvalidArgument, match="graphics"):
        decode_images(value)


# --- tables ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ([], []),
        ({}, []),
        ([{"A": 1}, {"B": 2}], [{"A": 1}, {"B": 2}]),
        ({"A": {"0": 1, "1": 2}}, [{"A": 1}, {"A": 2}]),
        (
            {"A": {"0": 1, "2": 3}, "B": {"0": None}},
            [{"A": 1, "B": None}, {"A": 3, "B": None}],
        ),
        ({"g": {"A": {"0": 1}}, "h": {"A": {"0": 2}}}, [{"A": 1}, {"A": 2}]),
        ({"g": [{"A": 1}], "h": []}, [{"A": 1}]),
        ([[{"A": 1}], [{"A": 2}, {"A": 3}]], [{"A": 1}, {"A": 2}, {"A": 3}]),
        ([[], [{"A": 1}], {"A": {"0": 2}}], [{"A": 1}, {"A": 2}]),
    ],
)
def test_rows(value: Any, rows: list[dict[str, Any]]) -> None:
    """Rows, columns and groups of either all give rows."""
    assert rows == rows_of(value)


def test_rows_of_the_seed() -> None:
    """The documented result gives a row for each group, with its name if wanted."""
    *_, (_, response) = exchange("v1-async-group-apply")
    rows = rows_of(open_result(response, "J1").json(), group="GROUP")

    assert {
        "GROUP": "versicolor_8",
        "SEPAL_LENGTH": 5.7,
        "SPECIES": "versicolor",
        "COUNT": 5,
    } == rows[0]
    assert 3 == len(rows)


def test_rows_of_runs() -> None:
    """A list of tables gives rows with the number of the run, if wanted."""
    rows = rows_of([[{"A": 1}], [{"A": 2}]], group="RUN")

    assert [{"RUN": 1, "A": 1}, {"RUN": 2, "A": 2}] == rows


@pytest.mark.parametrize(
    "value", [None, 1, "A", [1], [[1]], [[{"A": 1}], 1], {"A": 1}, {"A": {"B": 1}}]
)
def test_no_table(value: Any) -> None:
    """What is no table is refused."""
    with pytest.raises(InvalidArgument, match="no table"):
        rows_of(value)
