"""Rendering a page: the templates with what every page needs, in the reader's language; and who asks.

Knows no page in particular. Everything that a template shows is escaped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from stellwerk import __version__
from stellwerk.doors.web.language import COOKIE, LANGUAGES, Words, language_of, words
from stellwerk.doors.web.told import told
from stellwerk.report import words as report_words
from stellwerk.report.words import Language

if TYPE_CHECKING:
    from starlette.requests import Request

    from stellwerk.workspace import Workspace

TEMPLATES = Path(__file__).parent / "templates"
YEAR = 365 * 24 * 3600


def workspace_of(request: Request) -> Workspace:
    """The workspace, with whoever asks as the one who acts."""
    caller = request.state.caller
    found: Workspace = request.app.state.workspace
    return found.acting(caller.name, caller.authenticated)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template as an answer.

    Args:
        request: whose language, caller and address the page follows.
        template: a file of `templates/`.
        status: of the answer.
        values: what the template shows.
    """
    language = language_of(request)
    answer = HTMLResponse(render(request, template, language, **values), status)
    if request.query_params.get("lang") in LANGUAGES:
        secure = request.app.state.secure
        answer.set_cookie(COOKIE, language, max_age=YEAR, httponly=True, samesite="lax", secure=secure)
    return answer


def fragment(request: Request, template: str, title: str, **values: Any) -> HTMLResponse:
    """Render a part of a page: alone where htmx puts it into one, else under a heading of its own.

    Args:
        request: whose language, caller and address the part follows.
        template: a file of `templates/`; its headings begin at `level`.
        title: of the page where it is looked at alone.
        values: what the template shows.
    """
    if "hx-request" in request.headers:
        answer = page(request, template, level=3, **values)
    else:
        answer = page(request, "alone.html", level=2, part=template, title=title, **values)
    answer.headers["Vary"] = "HX-Request"
    return answer


def render(request: Request, template: str, language: Language, **values: Any) -> str:
    """The text of a template."""
    caller, workspace = request.state.caller, request.app.state.workspace
    return (
        environment(language)
        .get_template(template)
        .render(
            path=request.url.path,
            languages=_languages(request),
            caller=caller,
            may=lambda scope: scope in caller.scopes,
            csrf=caller.csrf,
            # Whoever has not come in yet learns nothing of what is here.
            workspace_name=(workspace.settings.name or workspace.root.name) if "read" in caller.scopes else "",
            product_version=__version__,
            **values,
        )
    )


@cache
def environment(language: Language) -> Environment:
    """The templates in one language."""
    found = Environment(
        loader=FileSystemLoader([TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    texts = words(language)
    found.install_gettext_callables(texts.gettext, texts.ngettext, newstyle=True)  # type: ignore[attr-defined]
    found.globals |= {
        "language": language,
        "word": lambda key, **given: report_words.word(key, language, **given),
    }
    found.filters |= {
        "in_words": texts.gettext,
        "told": lambda sentence: told(texts, str(sentence)),
        "called": lambda name: _called(texts, str(name)),
        "number": _number(language),
        "share": lambda value: "–" if value is None else report_words.share(value, 1, language),
        "segment": lambda value: quote(str(value), safe=""),
        "trusted": lambda value: Markup(value),  # noqa: S704  (pictures that report/ has made and escaped)
    }
    return found


def _number(language: Language) -> Callable[..., str]:
    def shown(value: float | None, digits: int = 3) -> str:
        return "–" if value is None else report_words.number(value, language, digits)

    return shown


def _called(texts: Words, name: str) -> str:
    """The name of a parameter, of a field or of a state as people read it; one that is not ours stands as it is."""
    plain = name.replace("_", " ")
    if not words("de").has(plain):
        return name
    said = texts.gettext(plain)
    return said[:1].upper() + said[1:]


def text(request: Request, message: str, **values: Any) -> str:
    """A text of a page's module in the reader's language; `%(name)s` stands for a value."""
    said = words(language_of(request)).gettext(message)
    return said % values if values else said


def _languages(request: Request) -> list[tuple[str, str, bool]]:
    """The languages to choose from: code, address of this page in it, whether it is the one at hand."""
    now = language_of(request)
    here = request.url.replace(scheme="", netloc="")
    return [(code, str(here.include_query_params(lang=code)), code == now) for code in LANGUAGES]
