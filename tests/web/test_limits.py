"""What a page reads on behalf of its reader is read by a process that can be ended, not by the server itself."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sites import Visitor, visible

from stellwerk.doors import answering


def test_sql_of_a_page_is_ended_where_it_takes_too_much(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "42" in visible(visitor.read("/data/tickets/1/sql?sql=SELECT+6*7+AS+answer").partition("answer-title")[2])
    assert visitor.get("/data/tickets/1/sql?sql=SELECT+6*7+AS+answer&format=csv").text.lstrip("\ufeff").split() == [
        "answer",
        "42",
    ]
    monkeypatch.setattr(answering, "BYTES", 1)
    told = visitor.read("/data/tickets/1/sql?sql=SELECT+6*7+AS+answer")
    assert "answer-title" not in told
    assert "was ended; ask for less" in visible(told)


def test_a_file_that_takes_too_much_is_not_read_to_its_end(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "BYTES", 1)
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.read("/begin/file"))
    assert token
    sent = visitor.post(
        "/begin/file",
        headers={"origin": str(visitor.base_url).rstrip("/")},
        files={"csrf": (None, unescape(token[1])), "file": ("letters.csv", "id,text\n1,a letter\n", "text/csv")},
    )
    assert (sent.status_code, "was ended; ask for less" in visible(sent.text)) == (422, True)
