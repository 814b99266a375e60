"""Plants personal data and secrets into a letter, each as people print it.

Knows the values' printed formats and writes down where a value stands. All of it is invented (demo/identifiers.py says from
which reserved ranges). Rare formats (`name (at) firm`, no-break spaces) are among them.
"""

from __future__ import annotations

import base64
import json
import string
from random import Random
from typing import Any

from stellwerk.demo import identifiers
from stellwerk.demo.phrases import draws, fill, pick, read_wording
from stellwerk.demo.tickets import Ticket, templates

# Share of all tickets that carry each kind.
PERSONAL_RATES = {
    "email": 0.03,
    "phone": 0.03,
    "iban": 0.02,
    "credit_card": 0.02,
    "person_name": 0.04,
    "secret": 0.01,
}
LETTERS = string.ascii_letters + string.digits


def plant_personal(seed: int, ticket: Ticket, kind: str) -> dict[str, Any]:
    """Write one value of a kind into the body of a ticket.

    Args:
        seed: of the whole corpus
        ticket: changed in place
        kind: a key of PERSONAL_RATES

    Returns:
        What was planted: `value` as printed, `format`, and `normal`, the value without its printing.
    """
    rng = draws(f"personal/{seed}/{ticket.number}/{kind}")
    value, shape, normal = draw_value(rng, ticket, kind)
    if shape == "signature":
        ticket.body = f"{ticket.body}\n{value}"
    else:
        sentence = fill(pick(rng, templates("planted")["personal"][ticket.language][kind]), rng, {"value": value})
        ticket.body = insert_sentence(rng, ticket.body, sentence)
    return {"value": value, "format": shape, "normal": normal}


def draw_value(rng: Random, ticket: Ticket, kind: str) -> tuple[str, str, str]:
    """One value of a kind: as printed, the name of that format, and without its printing."""
    if kind == "secret":
        value, shape = _secret(rng, ticket)
        return value, shape, value
    makers = {"email": _email, "phone": _phone, "iban": _iban, "credit_card": _card, "person_name": _name}
    return makers[kind](rng, ticket)


def insert_sentence(rng: Random, body: str, sentence: str) -> str:
    """The body with a sentence behind a random paragraph; behind the signature it gets a line of its own."""
    paragraphs = body.split("\n\n")
    first = 1 if len(paragraphs) > 2 else 0
    place = first + int(rng.random() * (len(paragraphs) - first))
    joint = "\n" if place == len(paragraphs) - 1 or "\n" in paragraphs[place] else " "
    paragraphs[place] += joint + sentence
    return "\n\n".join(paragraphs)


def _person(rng: Random) -> tuple[str, str]:
    catalogue = read_wording("catalogue")
    return pick(rng, catalogue["first_names"]), pick(rng, catalogue["last_names"])


def _name(rng: Random, ticket: Ticket) -> tuple[str, str, str]:
    first, last = _person(rng)
    titles = ["Herr", "Frau", "Dr."] if ticket.language == "de" else ["Mr", "Ms", "Dr"]
    draw = rng.random()
    if draw < 0.4:
        return f"{first} {last}", "signature", f"{first} {last}"
    if draw < 0.7:
        return f"{first} {last}", "full name", f"{first} {last}"
    return f"{pick(rng, titles)} {last}", "title and surname", last


def _email(rng: Random, ticket: Ticket) -> tuple[str, str, str]:
    first, last = (plain_letters(name) for name in _person(rng))
    firm = "-".join(plain_letters(word) for word in ticket.customer.name.split()[:2])
    domain = f"{firm}.{pick(rng, ['example', 'example', 'test'])}"
    local = pick(rng, [f"{first}.{last}", f"{first[0]}.{last}", f"{last}", f"{first}_{last}", f"{last}+service"])
    normal = f"{local}@{domain}"
    shape = pick(rng, ["plain"] * 7 + ["angle brackets", "mailto", "upper case", "at in words", "at in brackets"])
    printed = {
        "plain": normal,
        "angle brackets": f"<{normal}>",
        "mailto": f"mailto:{normal}",
        "upper case": normal.upper(),
        "at in words": f"{local} (at) {domain}",
        "at in brackets": f"{local}[at]{domain}",
    }
    return printed[shape], shape, normal


def plain_letters(text: str) -> str:
    """A name as it stands in an address: small letters without umlauts."""
    text = text.lower().replace("ß", "ss").replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    return "".join(character for character in text if character in string.ascii_lowercase + "-")


def _phone(rng: Random, ticket: Ticket) -> tuple[str, str, str]:
    country, area, number = identifiers.phone_number(rng)
    code = {"DE": "49", "GB": "44", "US": "1"}[country]
    shape = pick(rng, ["international", "plus compact", "dashes"] if country != "DE" else [
        "international", "plus compact", "dashes", "plus (0)", "00 prefix", "slash", "brackets", "national", "dots",
    ])  # fmt: skip
    half = 3 if country == "US" else len(number) - 3
    printed = {
        "international": f"+{code} {area} {number}",
        "plus compact": f"+{code}{area}{number}",
        "dashes": f"+{code}-{area}-{number[:half]}-{number[half:]}",
        "plus (0)": f"+{code} (0){area} {number[:half]}-{number[half:]}",
        "00 prefix": f"00{code} {area} {number}",
        "slash": f"0{area}/{number}",
        "brackets": f"(0{area}) {number[:half]} {number[half:]}",
        "national": f"0{area} {number}",
        "dots": f"0{area}.{number[:half]}.{number[half:]}",
    }
    return printed[shape], shape, f"+{code}{area}{number}"


def _iban(rng: Random, ticket: Ticket) -> tuple[str, str, str]:
    normal = identifiers.iban(rng)
    shape = pick(rng, ["groups of four"] * 4 + ["compact"] * 3 + ["no-break spaces", "lower case", "dashes"])
    groups = [normal[start : start + 4] for start in range(0, len(normal), 4)]
    printed = {
        "groups of four": " ".join(groups),
        "compact": normal,
        "no-break spaces": "\xa0".join(groups),
        "lower case": " ".join(groups).lower(),
        "dashes": "-".join(groups),
    }
    return printed[shape], shape, normal


def _card(rng: Random, ticket: Ticket) -> tuple[str, str, str]:
    normal = identifiers.card_number(rng)
    cuts = (4, 10) if len(normal) == 15 else (4, 8, 12)
    groups = [normal[a:b] for a, b in zip((0, *cuts), (*cuts, len(normal)), strict=True)]
    shape = pick(rng, ["groups", "groups", "compact", "dashes", "no-break spaces"])
    printed = {
        "groups": " ".join(groups),
        "compact": normal,
        "dashes": "-".join(groups),
        "no-break spaces": "\xa0".join(groups),
    }
    return printed[shape], shape, normal


def _token(rng: Random, length: int, alphabet: str = LETTERS) -> str:
    return "".join(pick(rng, alphabet) for _ in range(length))


def _secret(rng: Random, ticket: Ticket) -> tuple[str, str]:
    shape = pick(rng, ["cloud key", "git token", "model key", "chat token", "payment key", "hex key", "web token",
                       "private key", "password", "password", "password", "password in address"])  # fmt: skip
    match shape:
        case "cloud key":
            return "AKIA" + _token(rng, 16, string.ascii_uppercase + "234567"), shape
        case "git token":
            return "ghp_" + _token(rng, 36), shape
        case "model key":
            return "sk-" + _token(rng, 48), shape
        case "chat token":
            return f"xoxb-{identifiers.digits(rng, 12)}-{identifiers.digits(rng, 12)}-{_token(rng, 24)}", shape
        case "payment key":
            return "sk_live_" + _token(rng, 24), shape
        case "hex key":
            return f"api_key={_token(rng, 32, '0123456789abcdef')}", shape
        case "web token":
            return _web_token(rng, ticket), shape
        case "private key":
            lines = "\n".join(_token(rng, 64, LETTERS + "+/") for _ in range(3))
            return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----", shape
        case "password in address":
            return f"https://wartung:{_password(rng)}@portal.{plain_letters(ticket.customer.town)}.example/login", shape
        case _:
            wording = templates("planted")["passwords"][ticket.language]
            return fill(pick(rng, wording), rng, {"value": _password(rng)}), shape


def _password(rng: Random) -> str:
    word = pick(rng, ["Fraese", "Sommer", "Halle", "Spindel", "Geheim", "Winter", "Service", "Wartung"])
    return f"{word}{pick(rng, '!#$%')}{identifiers.digits(rng, 4)}{_token(rng, 3)}"


def _web_token(rng: Random, ticket: Ticket) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": ticket.customer.number, "iat": 1700000000 + ticket.number}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, _token(rng, 43, LETTERS + "-_")])
