"""The pages of the prompt engineer: library, editor, versions, differences and the history of searches, over a real server."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promptsite import KINDS, PLANTED, SHORT, STRICT, fill, prepare, text_of, write
from sites import Visitor, call, served, visible

from stellwerk.access import accounts
from stellwerk.doors.web import linediff
from stellwerk.doors.web.prompt_preview import preview, templates
from stellwerk.jobs.prompts.saving import digest
from stellwerk.llm.prompts.promptfile import read
from stellwerk.record import tables
from stellwerk.report.difference import difference_svg, span_of
from stellwerk.report.shares import share_svg
from stellwerk.workspace import Workspace

PAGE = "/prompts/reply"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    found = Workspace.init(tmp_path_factory.mktemp("prompts") / "company")
    fill(found)
    return found


@pytest.fixture(scope="module")
def reader(workspace: Workspace) -> Iterator[Visitor]:
    with served(workspace) as address, Visitor(address) as visitor:
        yield visitor


def run_of(workspace: Workspace, operation: str) -> str:
    """The run of an operation that ran once."""
    rows = workspace.record.rows(tables.run, tables.run.c.operation == operation)
    assert len(rows) == 1
    return str(rows[0]["id"])


def row(html: str, name: str) -> str:
    """The row of a prompt in the library."""
    return next(part for part in html.split("<tr>") if f'href="/prompts/{name}"' in part)


# Library


def test_the_library_says_what_was_measured_and_what_no_longer_holds(reader: Visitor) -> None:
    html = reader.read("/prompts")
    reply = row(html, "reply")
    assert "not tested as it is" in visible(reply)
    assert "changed since prompt/reply@2 was tested" in visible(reply)
    assert "2 versions" in visible(reply)
    assert 'href="/systems/desk"' in reply
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="effect"' in reply
    assert re.search(r"[\d.]+ % \([\d.]+ % to [\d.]+ %\)", visible(reply))
    assert "wrong file" in visible(row(html, "broken"))
    assert "no file" in visible(row(html, "reply-short-optimised"))
    german = visible(reader.read("/prompts", "de"))
    assert "geändert, seit prompt/reply@2 getestet wurde" in german


def test_the_library_is_searched_and_taken_along(reader: Visitor) -> None:
    assert 'href="/prompts/broken"' not in reader.read("/prompts?search=DESK@example")
    assert 'href="/prompts/reply-short"' in reader.read("/prompts?search=reply-sh&stale=1")
    assert "No prompt is like that" in visible(reader.read("/prompts?search=nothing"))
    rows = list(csv.DictReader(io.StringIO(reader.get("/prompts?format=csv").text.removeprefix("\ufeff"))))
    assert {"prompt/reply", "prompt/broken"} <= {one["prompt"] for one in rows}


def test_an_empty_library_says_how_to_begin(new: Callable[..., Visitor]) -> None:
    visitor = new()
    assert "There are no prompts yet" in visible(visitor.read("/prompts"))
    assert "a name" in visible(visitor.get("/prompts?new=a/b").text.lower())
    assert visitor.get("/prompts?new=a/b").status_code == 422
    started = visitor.get("/prompts?new=greeting")
    assert started.url.path == "/prompts/greeting"
    begun = re.search(r'name="text"[^>]*>(.*?)</textarea>', started.text, re.DOTALL)
    assert begun
    said = visitor.submit("/prompts/greeting", on="/prompts/greeting", text=begun[1].replace("&#34;", '"'), do="save")
    assert said.status_code == 200
    assert (visitor.workspace.root / "prompts/greeting.prompty").is_file()
    assert "It is saved" in visible(said.text)


# Editor


def test_the_editor_shows_the_file_rendered_with_a_case(reader: Visitor) -> None:
    html = reader.read(PAGE)
    text = visible(html)
    assert "the file is no version yet; the newest one is @2" in text
    assert "<mark>Die Rechnung 40 ist falsch, bitte schicken Sie eine neue Rechnung.</mark>" in html
    assert "The last test says nothing of the file as it is now" in text
    assert f'href="{PAGE}/diff?first=1&amp;second=2"' in html
    assert 'href="/operations/prompts.test?prompt=reply&amp;suite=support&amp;model=simulated"' in html
    assert "/operations/prompts.optimise?prompt=reply&amp;suite=support" in html
    assert re.search(r'href="/optimisations/\w+">Search for a cheaper wording', html)
    assert "simulated" in text


def test_what_is_typed_is_rendered_as_one_writes(reader: Visitor) -> None:
    asked = {"text": text_of("Kurz: {{ticket}}!"), "value.ticket": "Wo ist <b>mein</b> Paket?", "names": "ticket:string"}
    answer = reader.submit(f"{PAGE}/render", on=PAGE, **asked)
    assert "Kurz: <mark>Wo ist &lt;b&gt;mein&lt;/b&gt; Paket?</mark>!" in answer.text
    assert "hx-swap-oob" not in answer.text
    fixed, whole = re.findall(r"<dd>(\d+)</dd>", answer.text)
    assert int(whole) > int(fixed) > 5


def test_other_inputs_bring_other_fields(reader: Visitor) -> None:
    text = "user:\n{{ticket}} {{anrede}}\n"
    answer = reader.submit(f"{PAGE}/render", on=PAGE, text=text, names="ticket:string", **{"value.ticket": "Hallo"})
    assert 'hx-swap-oob="true"' in answer.text
    assert 'name="value.anrede"' in answer.text
    assert "Still without a value: anrede" in visible(answer.text)
    assert ">Hallo</textarea>" in answer.text
    assert "<mark>{{anrede}}</mark>" in answer.text


def test_a_mistake_is_told_with_its_line_and_never_saved(reader: Visitor, workspace: Workspace) -> None:
    before = (workspace.root / "prompts/reply.prompty").read_text()
    wrong = before.replace("{{ticket}}", "{{tickt}}")
    line = before.split("\n").index("Anfrage: {{ticket}}") + 1
    answer = reader.submit(f"{PAGE}/render", on=PAGE, text=wrong)
    assert f'data-line="{line}"' in answer.text
    assert "Anfrage: {{tickt}}" in visible(answer.text)
    saved = reader.submit(PAGE, on=PAGE, text=wrong, digest=digest(before), do="save")
    assert saved.status_code == 422
    assert "tickt" in saved.text
    assert (workspace.root / "prompts/reply.prompty").read_text() == before


def test_values_come_from_a_case_or_are_said_to_be_missing(reader: Visitor) -> None:
    asked = {"text": text_of(SHORT), "suite": "support"}
    answer = reader.submit(f"{PAGE}/values", on=PAGE, case="2", **asked)
    assert "Values of the case T-001." in visible(answer.text)
    assert "Anfrage: <mark>Pumpe 1 steht still" in answer.text
    assert "suite support has 160 cases" in visible(reader.submit(f"{PAGE}/values", on=PAGE, case="900", **asked).text)
    listed = reader.submit(
        f"{PAGE}/render", on=PAGE, text="---\ninputs: [{name: a, kind: array}]\n---\nuser:\n{{a}}\n", **{"value.a": "x"}
    )
    assert "the value for 'a' has to be JSON" in visible(listed.text)


def test_a_model_is_asked_once_and_says_that_it_is_simulated(reader: Visitor, workspace: Workspace) -> None:
    runs = len(workspace.record.rows(tables.run))
    asked = {"text": text_of(SHORT, STRICT), "model": "simulated", "value.ticket": "Pumpe 7 steht still."}
    answer = reader.submit(f"{PAGE}/try", on=PAGE, **asked)
    assert "is a simulated model" in visible(answer.text)
    assert "&#34;category&#34;" in answer.text
    assert "give every value" in visible(reader.submit(f"{PAGE}/try", on=PAGE, **{**asked, "value.ticket": ""}).text)
    assert len(workspace.record.rows(tables.run)) == runs


def test_without_scripts_the_same_buttons_show_the_whole_page(reader: Visitor) -> None:
    asked = {"text": text_of(SHORT), "suite": "support", "case": "3", "model": "simulated"}
    taken = reader.submit(PAGE, on=PAGE, do="values", **asked)
    assert "Wann kommt die Lieferung zu Auftrag 2 an?" in visible(taken.text)
    assert "<h1>reply" in taken.text
    tried = reader.submit(PAGE, on=PAGE, do="try", **{"value.ticket": "Pumpe 7 steht still."}, **asked)
    assert "is a simulated model" in visible(tried.text)


def test_nobodys_change_is_overwritten_unseen(new: Callable[..., Visitor]) -> None:
    visitor = new(prepare)
    path = visitor.workspace.root / "prompts/reply.prompty"
    shown = digest(path.read_text())
    theirs, mine = text_of(SHORT, KINDS), text_of(SHORT, STRICT)
    path.write_text(theirs)
    answer = visitor.submit(PAGE, on=PAGE, text=mine, digest=shown, do="save")
    assert answer.status_code == 409
    assert path.read_text() == theirs
    assert "Somebody else has changed this file" in visible(answer.text)
    assert f"gone: {KINDS}" in visible(answer.text).replace("  ", " ")
    assert STRICT in answer.text
    seen = re.search(r'name="now" value="(\w+)"', answer.text)
    assert seen
    assert seen[1] == digest(theirs)
    path.write_text(theirs.replace("Kategorien", "Arten"))
    assert visitor.submit(PAGE, on=PAGE, text=mine, digest=shown, now=seen[1], do="replace").status_code == 409
    now = digest(path.read_text())
    assert visitor.submit(PAGE, on=PAGE, text=mine, digest=shown, now=now, do="replace").status_code == 200
    assert path.read_text() == mine


def test_the_text_of_an_older_version_is_taken_back(reader: Visitor, workspace: Workspace) -> None:
    html = reader.read(f"{PAGE}?origin=1")
    assert "The text of @1 lies in the editor" in visible(html)
    source = re.search(r'name="text"[^>]*>(.*?)</textarea>', html, re.DOTALL)
    assert source
    assert STRICT not in source[1]
    assert f'value="{digest((workspace.root / "prompts/reply.prompty").read_text())}"' in html
    assert reader.get(f"{PAGE}?origin=99").status_code == 404


def test_who_may_only_read_tries_wordings_but_saves_and_asks_nothing(new: Callable[..., Visitor]) -> None:
    def with_reader(workspace: Workspace) -> None:
        prepare(workspace)
        accounts.save(workspace, "reader", ["read"], "four words for reading")

    visitor = new(with_reader, login=True)
    visitor.submit("/login", on="/login", name="reader", password="four words for reading")
    html = visitor.read(PAGE)
    assert 'value="save"' not in html
    assert 'value="try"' not in html
    assert "saving needs the scope admin" in visible(html)
    before = (visitor.workspace.root / "prompts/reply.prompty").read_text()
    asked = {"text": text_of(KINDS), "digest": digest(before), "model": "simulated", "value.ticket": "x"}
    assert "Anfrage: <mark>x</mark>" in visitor.submit(f"{PAGE}/render", on=PAGE, **asked).text
    assert visitor.submit(PAGE, on=PAGE, do="save", **asked).status_code == 403
    assert visitor.submit(f"{PAGE}/try", on=PAGE, **asked).status_code == 403
    assert visitor.post(PAGE, data={**asked, "do": "save"}).status_code == 403
    assert (visitor.workspace.root / "prompts/reply.prompty").read_text() == before
    assert visitor.get("/prompts/nothing-there").status_code == 404


# Versions and differences


def test_a_version_shows_its_messages_and_what_was_measured(reader: Visitor) -> None:
    html = reader.read(f"{PAGE}/1")
    text = visible(html)
    assert SHORT in text
    assert STRICT not in text
    assert "<mark>{{ticket}}</mark>" in html
    assert "simulated@1" in text
    assert "at most" in text
    assert "Temperature" in text
    assert f'href="{PAGE}/diff?first=1&amp;second=2"' in html
    assert f'href="{PAGE}?origin=1"' in html
    assert "pass_rate" in text
    assert reader.get(f"{PAGE}/77").status_code == 404
    pictures = reader.read(f"{PAGE}/tests")
    assert pictures.count('class="chart"') == 1
    assert re.search(r'aria-label="[^"]*@1: [\d.]+ % \([^"]*@2: ', pictures)


def test_a_difference_is_told_message_by_message_and_word_by_word(reader: Visitor) -> None:
    html = reader.read(f"{PAGE}/diff?first=1&second=2")
    assert "1 message differs, about +" in visible(html)
    assert re.search(rf"diff-new.*?{re.escape(STRICT)}", html, re.DOTALL)
    assert "/operations/prompts.compare?first=reply%401&amp;second=reply%402&amp;suite=support" in html
    other = visible(reader.read(f"{PAGE}/diff?first=1&second=reply-short-optimised%401"))
    assert "reply-short-optimised@1" in other
    assert "A model is sent the same by both" in visible(reader.read(f"{PAGE}/diff?first=2&second=2"))
    assert reader.get(f"{PAGE}/diff?first=9").status_code == 422
    assert "Nachricht ist verschieden" in visible(reader.read(f"{PAGE}/diff?first=1&second=2", "de"))


# Searches


def test_the_history_of_a_search_is_drawn_with_its_proof(reader: Visitor, workspace: Workspace) -> None:
    run = run_of(workspace, "prompts.optimise")
    result = call(workspace, "runs.show", run_id=run).result
    html = reader.read(f"/optimisations/{run}")
    text = visible(html)
    gain = result["gains"][0]
    assert f"+{100 * gain['difference']:.1f}" in text
    assert f"n = {gain['n']}" in text
    assert html.count('class="effect"') == len([one for one in result["gains"] if one["metric"] == "score"])
    assert "Simulated." in text
    assert "says nothing about a real model" in text
    assert str(result["calls"]) in text
    for reason, many in result["refused"].items():
        assert str(many) in text
        assert reason in ("known", "too_long", "variables", "syntax", "copies", "empty")
    assert STRICT in text
    assert f'href="/optimisations/{run}"' in reader.read(f"/runs/{run}")
    pictures = reader.read(f"/optimisations/{run}/pictures")
    assert pictures.count('class="chart"') == 2
    assert "<script" not in pictures.partition("<main")[2]
    assert all(f"{one['calls']} calls made" in pictures for one in result["candidates"])
    assert reader.get(f"/optimisations/{run}/picture?of=tokens&format=png").content[:4] == b"\x89PNG"
    assert reader.get(f"/optimisations/{run}/picture?of=money").status_code == 404
    german = visible(reader.read(f"/optimisations/{run}", "de"))
    assert "Prozentpunkte" in german
    assert "Simuliert." in german


def test_a_cheaper_wording_is_shown_with_its_margin(reader: Visitor, workspace: Workspace) -> None:
    run = run_of(workspace, "prompts.trim")
    result = call(workspace, "runs.show", run_id=run).result
    text = visible(reader.read(f"/optimisations/{run}"))
    assert "Search for a cheaper wording: reply" in text
    assert "The dashed line is the margin, 15 %" in text or result["gain"] is None
    assert f"{result['tokens_before']}" in text
    assert "Saved in 1,000 calls" in text


def test_what_is_no_search_or_failed_says_so(reader: Visitor, workspace: Workspace, new: Callable[..., Visitor]) -> None:
    test = workspace.record.rows(tables.run, tables.run.c.operation == "prompts.test")[0]["id"]
    assert reader.get(f"/optimisations/{test}").status_code == 404
    assert reader.get("/optimisations/nothing").status_code == 404

    def failing(workspace: Workspace) -> None:
        prepare(workspace, cases=8)
        with pytest.raises(Exception, match="calls"):
            call(workspace, "prompts.optimise", prompt="reply", suite="support", model="simulated", calls=10)

    visitor = new(failing)
    run = run_of(visitor.workspace, "prompts.optimise")
    text = visible(visitor.read(f"/optimisations/{run}"))
    assert "give at least calls" in text or "calls are too few" in text
    assert "See the run" in text


def test_pages_of_assets_lead_to_the_prompt(reader: Visitor) -> None:
    assert 'href="/prompts/reply"' in reader.read("/assets/prompt/reply")
    assert 'href="/prompts/reply/1"' in reader.read("/assets/prompt/reply/1")


def test_whatever_stands_in_prompts_and_cases_stays_text(new: Callable[..., Visitor]) -> None:
    def hostile(workspace: Workspace) -> None:
        prepare(workspace, cases=40, planted=PLANTED)
        write(workspace, "prompts/reply.prompty", text_of(f"Sag {PLANTED}", planted=PLANTED))
        call(workspace, "prompts.test", prompt="reply", suite="support", model="simulated")
        write(workspace, "prompts/reply.prompty", text_of(f"Sag nicht {PLANTED}", planted=PLANTED))

    visitor = new(hostile)
    for path in ("/prompts", PAGE, f"{PAGE}/1", f"{PAGE}/diff?first=1&second=now", f"{PAGE}/tests"):
        html = visitor.read(path)
        assert PLANTED not in html, path
        assert path.endswith("tests") or "&lt;script&gt;" in html, path
    answer = visitor.submit(f"{PAGE}/render", on=PAGE, text=f"user:\n{PLANTED} {{{{x}}}} {{{{ a b }}}}\n")
    assert PLANTED not in answer.text
    assert "&lt;script&gt;" in answer.text


# Parts


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)


@given(st.lists(LINE, max_size=6), st.lists(LINE, max_size=6))
def test_lines_of_a_difference_hold_both_texts(before: list[str], after: list[str]) -> None:
    marks = [("-", line) for line in before] + [("+", line) for line in after]
    found = linediff.marked(marks)
    assert ["".join(text for text, _ in line.pieces) for line in found if line.sign == "-"] == before
    assert ["".join(text for text, _ in line.pieces) for line in found if line.sign == "+"] == after


def test_only_the_words_that_differ_are_marked() -> None:
    found = linediff.between("eins zwei drei\ngleich", "eins vier drei\ngleich")
    assert [(line.sign, [text for text, marked in line.pieces if marked]) for line in found] == [
        ("-", ["zwei"]), ("+", ["vier"]), ("", []),
    ]  # fmt: skip
    assert linediff.between("a", "a") == []


@given(st.lists(LINE, min_size=2, max_size=5), st.lists(LINE.filter(bool), min_size=1, max_size=4))
def test_pieces_of_a_rendered_message_are_the_message(fixed: list[str], values: list[str]) -> None:
    parts = [part.replace("{", "(").replace("}", ")").replace("#", "") for part in fixed]
    names = [f"v{i}" for i in range(len(parts) - 1)]
    body = "".join(f"{part}{{{{{name}}}}}" for part, name in zip(parts, names, strict=False)) + parts[-1]
    typed = {name: values[i % len(values)] for i, name in enumerate(names)}
    found = preview("x", f"user:\n.{body}.\n", typed)
    assert not found.mistakes, found.mistakes
    text = "".join(text for text, _ in found.messages[0].pieces)
    wanted = re.sub(r"\{\{(v\d)\}\}", lambda found: typed[found[1]], unicodedata.normalize("NFC", f".{body}."))
    assert text == wanted


def test_places_of_values_are_found_in_templates() -> None:
    prompt = read(
        "system:\nHallo {{ name }}{% if kurz %} kurz{% endif %}.\n{% messages turns %}\nuser:\nx\n", "prompts/a.prompty"
    )
    shown = templates(prompt)
    assert [text for text, place in shown[0].pieces if place] == ["{{ name }}", "{% if kurz %}", "{% endif %}"]
    assert shown[1].role == "messages"


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_pictures_stay_within_their_frame(value: float, wide: float, margin: float) -> None:
    bounds = [value, value - wide, value + wide, margin]
    for svg in (
        difference_svg(value, value - wide, value + wide, span_of([*bounds]), margin),
        share_svg(abs(value), max(abs(value) - wide, 0), min(abs(value) + wide, 1)),
    ):
        places = [float(number) for number in re.findall(r'(?:[MH]|cx=")(-?[\d.]+)', svg)]
        assert all(0 <= place <= 180 for place in places)
        assert "nan" not in svg
