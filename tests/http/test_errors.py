"""What the error classes promise: a status, a rule, and a message that is safe to show."""

from __future__ import annotations

import pytest

from gunicorn.http import errors

CLASSES = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.HTTPError)
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_has_an_answer(cls: type[errors.HTTPError]) -> None:
    error = cls("what")
    assert error.status in errors.REASONS
    assert error.reason == errors.REASONS[cls.status]
    assert str(error) == f"{cls.summary}: what ({cls.rule})"
    assert str(cls()) == f"{cls.summary} ({cls.rule})"


def test_the_statuses_that_the_protocol_uses() -> None:
    assert {cls.status for cls in CLASSES} >= {400, 403, 408, 413, 414, 417, 431, 501, 505}


def test_errors_of_input_are_those_that_applications_expect() -> None:
    assert issubclass(errors.IncompleteBody, OSError)
    assert issubclass(errors.BodyTimeout, TimeoutError)
    with pytest.raises(OSError, match="silent"):
        raise errors.BodyTimeout("the client fell silent")


@pytest.mark.parametrize(
    "data", ["a\r\nb", b"a\r\nb", bytearray(b"\r\n"), "\u20ac\x1b[0m", "x" * 500]
)
def test_an_excerpt_is_short_printable_ascii(data: object) -> None:
    text = errors.excerpt(data)
    assert len(text) <= 81
    assert text.rstrip("…").isascii()
    assert text.isprintable()
