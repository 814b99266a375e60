"""Check digits and lengths of bank accounts and payment cards.

Knows the arithmetic (ISO 7064 MOD 97-10, Luhn), the length of an IBAN per country and the ranges of card issuers.
Knows nothing of text: it is given characters without blanks and answers yes or no.
"""

from __future__ import annotations

# Total length of an IBAN by country, from the SWIFT IBAN registry (ISO 13616).
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 "
    "LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 "
    "QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTH: dict[str, int] = {item[:2]: int(item[2:]) for item in _LENGTHS.split()}

# Countries whose account part holds digits only: a letter there means that it is another kind of number.
_DIGITS_ONLY = "AE AT BA BE CR CZ DE DK EE ES FI FO GL HR HU IL IS LT LY ME MN MR NO PL PT RS SD SE SI SK SO ST TL TN VA XK"
IBAN_DIGITS_ONLY = frozenset(_DIGITS_ONLY.split())

_COUNTING = "1234567890" * 5
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def placeholder(characters: str) -> bool:
    """Tell a form's filler from a number: one character repeated, or counting (1234567890...).

    Args:
        characters: no blanks; at least ten, or chance alone would explain it.
    """
    return len(set(characters)) < 2 or characters in _COUNTING


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the Luhn check digit of those before it (ISO/IEC 7812-1 annex B).

    Args:
        digits: ASCII digits only, at least two.
    """
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return total % 10 == 0


def mod97(characters: str) -> int:
    """Remainder of ISO 7064 MOD 97-10, letters counted as 10 to 35.

    Args:
        characters: ASCII letters and digits in the order in which they are weighed.

    Returns:
        0 to 96; an IBAN with its first four characters moved to the end gives 1.
    """
    return int("".join(str(int(character, 36)) for character in characters)) % 97


def iban_shape(iban: str) -> bool:
    """Tell whether country, length and kind of characters are those of an IBAN, whatever its check digits.

    Args:
        iban: upper case, no blanks.
    """
    country, check, account = iban[:2], iban[2:4], iban[4:]
    if len(iban) != IBAN_LENGTH.get(country) or not check.isdigit():
        return False
    if country in IBAN_DIGITS_ONLY and not account.isdigit():
        return False
    # Of two characters only the published test cards consist, never an account.
    return len(set(account)) > 2 and not placeholder(account)


def iban_valid(iban: str) -> bool:
    """Tell whether an IBAN has the shape of its country and the right check digits (ISO 13616).

    Args:
        iban: upper case, no blanks.
    """
    return iban_shape(iban) and mod97(iban[4:] + iban[:4]) == 1


def card_issuer(digits: str) -> str | None:
    """Name the network whose number range and length a card number has (ISO/IEC 7812, published ranges).

    Args:
        digits: ASCII digits only.

    Returns:
        The network, or None where no network issues such a number. The check digit is not looked at.
    """
    size = len(digits)
    if size < 12 or placeholder(digits):
        return None
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":
        return "Visa" if size in (13, 16, 19) else None
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return "Mastercard" if size == 16 else None
    if two in (34, 37):
        return "American Express" if size == 15 else None
    if 300 <= three <= 305 or two in (36, 38, 39):
        return "Diners Club" if size in (14, 16) else None
    if four in (1800, 2131):
        return "JCB" if size == 15 else None
    if 3528 <= four <= 3589:
        return "JCB" if 16 <= size <= 19 else None
    if four == 6011 or 644 <= three <= 649 or two == 65:
        return "Discover" if 16 <= size <= 19 else None
    if two == 62:
        return "UnionPay" if 16 <= size <= 19 else None
    if two in (50, 56, 57, 58, 63, 67):
        return "Maestro" if 12 <= size <= 19 else None
    return None
