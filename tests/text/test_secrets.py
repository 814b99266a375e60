"""Secrets: known shapes, blocks, URLs and assignments are found; placeholders and other random strings are not."""

from __future__ import annotations

import random
import string

import pytest

from stellwerk.text.personal import mask, scan
from stellwerk.text.secrets import entropy


def _random(size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(random.Random(size).choices(alphabet, k=size))


# Put together here so that scanners of code hosts do not take them for live keys.
KEYS = {
    "Amazon": "AK" + "IA" + _random(16, string.ascii_uppercase + string.digits),
    "GitHub": "gh" + "p_" + _random(36),
    "GitLab": "glp" + "at-" + _random(20),
    "Slack": "xo" + "xb-123456789012-" + _random(24),
    "Stripe": "sk_" + "live_" + _random(24),
    "OpenAI": "sk-" + "proj-" + _random(60),
    "Google": "AI" + "za" + _random(35),
    "Hugging Face": "h" + "f_" + _random(34),
    "JSON Web Token": "ey" + "J" + _random(20) + ".ey" + "J" + _random(30) + "." + _random(40),
}


def values(text: str) -> list[str]:
    return [text[row["start"] : row["end"]] for row in scan([text], ["SECRET"]).to_pylist()]


@pytest.mark.parametrize("service", KEYS)
def test_keys_of_known_shape_are_found_without_context(service: str) -> None:
    key = KEYS[service]
    for text in (f"siehe {key}, danke", f'{{"a":"{key}"}}', f"größer 🙂 {key}\nEnde"):
        assert values(text) == [key]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("smtp_password: pN%30Tg#cByf*vw8\n", "pN%30Tg#cByf*vw8"),
        ("Das Passwort lautet Sommer2024! Bitte ändern.", "Sommer2024!"),
        ("Passwort: Sommer-2024.", "Sommer-2024"),
        ('password = "hunter2x"', "hunter2x"),
        ('{\\"password\\": \\"hunter2x\\"}', "hunter2x"),
        ("PGPASSWORD=Zx81-qwe psql", "Zx81-qwe"),
        ("mysql --password Zx81-qwe9 -u root", "Zx81-qwe9"),
        ("postgres://svc_app:aZrkXbZUZyU0RR@db-1.intern:5432/x", "aZrkXbZUZyU0RR"),
        ("amqp://u:p@ss9word@host.example/", "p@ss9word"),
        ("client_secret=9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281706"),
        ("<password>Zx81qwe</password>", "Zx81qwe"),
        ("Zum Testen: PW=Turm!4795nlN und weiter", "Turm!4795nlN"),
        ("pw: Zx81-qwe9", "Zx81-qwe9"),
        ("DB_PW=Zx81-qwe9", "Zx81-qwe9"),
        ("Benutzer wartung, Passwort Turm#7628obY.", "Turm#7628obY"),
        ("User service, password Tower%9819r7Y is set up.", "Tower%9819r7Y"),
        ("das Kennwort k9Tz4Qm2 gilt bis Freitag", "k9Tz4Qm2"),
        ("Login max, Passwort turm2024", "turm2024"),
        ('Passwort "turm2024" geht nicht', "turm2024"),
        ("Das Passwort heißt Sommer2024!", "Sommer2024!"),
        (f"Authorization: Bearer {_random(40)}", _random(40)),
        (f"der Schlüssel für den Dienst {_random(44)} gilt", _random(44)),
    ],
)
def test_what_a_word_or_a_url_says_is_a_secret(text: str, value: str) -> None:
    assert values(text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "password = YOUR_API_KEY, key sk-xxxxxxxxxxxxxxxx, token: <token>",
        "password: ${DB_PASSWORD} und password=$PASSWORD und pwd: {{ vault.pwd }}",
        "password=os.environ['X'] password=get_password() api_key=settings.api_key",
        "Passwort: bitte neu vergeben. Das Passwort ist abgelaufen. Ihr Kennwort: siehe Anhang",
        "Der Schlüssel: Zimmer 12. Das Token ist ungültig. The secret is patience.",
        "postgres://user:password@host/db und https://user:***@host/",
        "Commit 14238a3428bc7f55b654467394d7f342417a586a",
        "sha256:51e411a7ba7504f94120ea067821907b92bba6d280d153ff32bec94c639ae3ee",
        "primary_key: customer_id, foreign key=order_id, token 9346de31-7de5-4a59-a25b-8f56ef045ed9",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
        "http://host:8080/path@foo",
        "Passwort vergessen! Passwort bitte zurücksetzen? password reset, password-reset2, Kennwort abgelaufen",
        "Passwort Windows11 vergessen, password SHA-256, Passwort Base64-kodiert, password OAuth2-Token",
        "Passwort 12-stellig, das Passwort ist 12-stellig, the password was 2024-05-01 changed, passwords/2FA",
        "password max.muster1@firma.example und Passwort AB-2024-98795, PW 12 bis PW 14, 500 PW Leistung",
        "password_hash a1B2c3d4e5 und Benutzer wartung, Passwort vergessen!",
    ],
)
def test_placeholders_code_and_hashes_are_not_secrets(text: str) -> None:
    assert values(text) == []


def test_private_key_block_is_one_finding_even_when_cut_off() -> None:
    body = "\n".join(_random(64 + line, string.ascii_letters + string.digits + "+/")[:64] for line in range(12))
    head, tail = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
    whole = f"{head}\n{body}\n{tail}"
    assert values(f"Anbei:\n{whole}\nGruß") == [whole]
    assert values(f"Anbei:\n{head}\n{body}\n") == [f"{head}\n{body}"]
    assert values(f"Die Zeile {head} leitet ihn ein.") == []


def test_masked_secrets_are_not_found_again() -> None:
    texts = [f"a {key} b" for key in KEYS.values()] + [
        "postgres://u:Zx81qweR@h.example/x",
        "password: Zx81qweR",
        'pwd="Zx81qweR"',
    ]
    masked = mask(texts, scan(texts, ["SECRET", "EMAIL"]))
    assert all("[SECRET]" in text for text in masked.to_pylist())
    assert scan(masked, ["SECRET", "EMAIL"]).num_rows == 0


def test_entropy_of_known_strings() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abcd") == pytest.approx(2)
