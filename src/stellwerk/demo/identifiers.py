"""Numbers that the sample company's letters carry: business numbers, and payment numbers with valid check digits.

Business numbers (orders, serial numbers, parcels) look like personal data and are none. Telephone numbers come from the
ranges that the German, British and American regulators keep free for films and books; bank and card numbers are random
with valid check digits (ISO 13616 mod 97-10, ISO/IEC 7812 Luhn), cards under issuer prefixes of published test cards.
"""

from __future__ import annotations

from random import Random

from stellwerk.demo.phrases import pick

# Length of the account part of an IBAN, without country and check digits; GB and NL start it with a bank's letters.
IBAN_ACCOUNT_DIGITS = {"DE": 18, "AT": 16, "CH": 17, "NL": 10, "GB": 14, "BE": 12}
IBAN_BANK_LETTERS = {"NL": ["TWNB", "ZZNB"], "GB": ["TWNB", "ZZGB"]}
# Digits that a phone range leaves to choose stand as x.
PHONE_RANGES = {
    "DE": ["3023125xxx", "6990009xxx", "4066969xxx", "2214710xxx", "8999998xxx", "17139200xx", "176040690xx"],
    "GB": ["2079460xxx"],
    "US": ["21255501xx", "41555501xx"],
}
PHONE_AREA_DIGITS = {"30": 2, "69": 2, "40": 2, "89": 2, "22": 3, "17": 3, "20": 2, "21": 3, "41": 3}
CARD_PREFIXES = ["400000", "411111", "555555", "222300", "378282"]


def digits(rng: Random, count: int) -> str:
    """`count` random digits, the first of which may be 0."""
    return "".join(str(int(rng.random() * 10)) for _ in range(count))


def order_number(rng: Random) -> str:
    """An order number; a third has 11 to 16 digits in a row and none starts as cards do."""
    shape = int(rng.random() * 6)
    if shape < 2:
        return str(7 + int(rng.random() * 3)) + digits(rng, 10 + int(rng.random() * 6))
    if shape == 2:
        return f"AB-20{24 + int(rng.random() * 3)}-{digits(rng, 5)}"
    if shape == 3:
        return f"{45 + int(rng.random() * 5)}00{digits(rng, 6)}"
    return f"A{digits(rng, 6)}"


def serial_number(rng: Random) -> str:
    """The serial number of a machine."""
    shape = int(rng.random() * 3)
    if shape == 0:
        return f"TW{10 + int(rng.random() * 16)}.{digits(rng, 5)}-{digits(rng, 2)}"
    if shape == 1:
        return f"20{10 + int(rng.random() * 16)}{digits(rng, 7)}"
    return f"{1 + int(rng.random() * 9)}{digits(rng, 2)}-{digits(rng, 6)}-{pick(rng, 'ABCDEFGH')}"


def part_number(rng: Random, prefix: str) -> str:
    """The number of a spare part; a few look like a telephone number with an area code."""
    shape = int(rng.random() * 20)
    if shape == 0:
        return f"0711-{digits(rng, 5)}"
    if shape < 7:
        return f"{1 + int(rng.random() * 9)}{digits(rng, 3)}-{digits(rng, 4)}-{digits(rng, 2)}"
    return f"{prefix}-{digits(rng, 3)}-{digits(rng, 4)}"


def contract_number(rng: Random) -> str:
    """The number of a service contract; some start with DE and fail the check of an IBAN."""
    if rng.random() < 0.3:
        account = digits(rng, 16)
        check = 10 + int(rng.random() * 80)
        check += check == int(iban_check_digits("DE", account))
        return f"DE{check:02d}{account}"
    return f"WV-{digits(rng, 5)}"


def tracking_number(rng: Random) -> str:
    """The number of a parcel: 12 or 14 digits, none of which starts as cards do."""
    return pick(rng, ["1", "7", "9"]) + digits(rng, pick(rng, [11, 13]))


def iban_check_digits(country: str, account: str) -> str:
    """The two check digits of an IBAN (ISO 13616): 98 minus the number modulo 97.

    Args:
        country: two letters
        account: the part after the check digits, letters in upper case
    """
    number = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    return f"{98 - int(number) % 97:02d}"


def iban(rng: Random) -> str:
    """An invented IBAN with valid check digits and the length of its country, most of them German, without spaces."""
    country = "DE" if rng.random() < 0.7 else pick(rng, ["AT", "CH", "NL", "GB", "BE"])
    letters = pick(rng, IBAN_BANK_LETTERS[country]) if country in IBAN_BANK_LETTERS else ""
    account = letters + digits(rng, IBAN_ACCOUNT_DIGITS[country])
    if country == "BE":
        account = account[:10] + f"{int(account[:10]) % 97 or 97:02d}"
    return f"{country}{iban_check_digits(country, account)}{account}"


def luhn_check_digit(number: str) -> str:
    """The digit that makes `number` followed by it pass the Luhn test (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def card_number(rng: Random) -> str:
    """An invented card number of 15 or 16 digits that passes the Luhn test, without spaces."""
    prefix = pick(rng, CARD_PREFIXES)
    length = 15 if prefix.startswith("37") else 16
    number = prefix + digits(rng, length - len(prefix) - 1)
    return number + luhn_check_digit(number)


def phone_number(rng: Random) -> tuple[str, str, str]:
    """An invented telephone number as (country, area code without 0, subscriber number)."""
    country = pick(rng, ["DE", "DE", "DE", "DE", "DE", "GB", "US"])
    shape = pick(rng, PHONE_RANGES[country])
    number = "".join(digits(rng, 1) if character == "x" else character for character in shape)
    area = PHONE_AREA_DIGITS[number[:2]]
    return country, number[:area], number[area:]


def look_alike(number: str) -> str:
    """What a business number could be taken for: iban, credit_card, phone, or nothing (the empty string)."""
    if number.startswith("DE"):
        return "iban"
    if number.isdigit() and len(number) >= 12:
        return "credit_card"
    if number.startswith("0711-") or (number.isdigit() and len(number) >= 10):
        return "phone"
    return ""
