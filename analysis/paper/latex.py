"""Words as LaTeX sets them, with any engine and font encoding."""

import unicodedata

from analysis.words import printable

SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\char34{}", "`": r"\`{}",
    "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ł": r"\l{}", "Ł": r"\L{}", "\u0131": r"\i{}", "\u2013": "--{}", "\u2014": "---{}",
    "\u00d7": r"$\times$", "±": r"$\pm$", "∞": r"$\infty$", "µ": r"$\mu$", "≤": r"$\leq$", "≥": r"$\geq$",
    "→": r"$\to$",
}  # fmt: skip
"""Signs that mean something to LaTeX, or are no ASCII."""

JOINED = "-,'"
"""Signs of which LaTeX makes one of two: -- would be a dash."""

ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c", "\u0331": "b",
}  # fmt: skip
"""Combining marks, and the LaTeX command that sets each over or under a letter."""

BELOW = "\u0323\u0327\u0331"
"""Those of them that are set under it."""

NAMES = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi
    psi omega
"""

GREEK = {
    unicodedata.lookup(f"GREEK SMALL LETTER {name.replace('lambda', 'lamda')}"): rf"$\{name}$"
    for name in NAMES.split()
}


def latex(words: str) -> str:
    """Words for the text of LaTeX: every sign as it is, in OT1 and T1, with pdflatex and all others.

    What these fonts lack is written as its code point, such as [U+6F22].
    """
    plain = unicodedata.normalize("NFC", printable(words))
    following = [*plain[1:], ""]
    return "".join(
        sign(one) + ("{}" if one == after and one in JOINED else "")
        for one, after in zip(plain, following, strict=False)
    )


def sign(one: str) -> str:
    """One sign for LaTeX."""
    if known := SIGNS.get(one) or GREEK.get(one):
        return known
    if " " <= one <= "~":
        return one
    letter, *marks = list(unicodedata.normalize("NFD", one))
    if not (marks and letter.isascii() and letter.isalpha() and all(mark in ACCENTS for mark in marks)):
        return f"[U+{ord(one):04X}]"
    over = any(mark not in BELOW for mark in marks)
    accented = rf"\{letter}" if letter in "ij" and over else letter  # their dots would collide
    for mark in marks:
        accented = rf"\{ACCENTS[mark]}{{{accented}}}"
    return accented
