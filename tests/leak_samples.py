"""What must not leave, made up: for each entry of leaks.toml as many as are asked for, their checksums right; and what is like it and may."""
from __future__ import annotations

import random
import re
import string

A = string.ascii_letters + string.digits
#: Symbols of a template, by the letter in its braces.
SYMBOLS = {"a": A, "l": string.ascii_lowercase + string.digits, "h": "0123456789abcdef", "u": string.ascii_uppercase + string.digits,
           "d": string.digits, "w": A + "_-", "b": A + "+/", "t": string.ascii_letters, "k": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
           "x": string.ascii_uppercase + "234567"}
#: By id: how it is written, `{a20}` being twenty letters and digits; and what is like it, but too short, or of another form.
TEMPLATES = {
    1: ("sk-proj-{a20}T3BlbkFJ{a20}", "sk-proj-{a10}"), 2: ("sk-ant-api03-{w94}a", "sk-ant-api03-short"), 3: ("hf_{a34}", "hf_{a20}"),
    4: ("AIza{a35}", "AIza{a36}"), 5: ("AKIA{x16}", "AKIA1111111111111111"), 6: ("ASIA{x16}", "ASIAN countries"),
    7: ("ghp_{a36}", "ghp_{a30}"), 8: ("github_pat_{a82}", "github_pat_{a40}"), 9: ("glpat-{a20}", "glpat-{a10}"),
    10: ("xoxb-{d12}-{a24}", "xoxb-12"), 11: ("sk_live_{a24}", "sk_test_{a24}"), 12: ("nvapi-{a64}", "nvapi-{a12}"),
    13: ("gsk_{a52}", "gsk_{a20}"), 14: ("xai-{a80}", "xai-{a20}"), 15: ("pplx-{a48}", "pplx-{a8}"), 16: ("r8_{a37}", "r8_{a8}"),
    17: ("dapi{h32}", "dapi{h16}"), 18: ("lsv2_pt_{h32}_{h10}", "lsv2_pt_{h4}"),
    19: ("-----BEGIN RSA PRIVATE KEY-----\n{b64}\n{b64}\n{b20}==\n", "-----BEGIN PUBLIC KEY-----\n{b64}\n"),
    20: ("AccountKey={b86}==", "AccountKey=none"),
    21: ("sk-or-v1-{h64}", "sk-or-v1-{h20}"), 22: ("sk-{h32}", "sk-{h20}"), 23: ("sk-{a48}", "sk-{a30}"),
    24: ("sk-lf-{h8}-{h4}-{h4}-{h4}-{h12}", "sk-lf-{h8}"), 25: ("pcsk_{a5}_{a60}", "pcsk_{a5}"), 26: ("sk_{h48}", "sk_{h30}"),
    27: ("tvly-{a32}", "tvly-{a10}"), 28: ("api_org_{t34}", "api_org_{t10}"), 29: ("jina_{h32}{a28}", "jina_{h32}"),
    30: ("csk-{l48}", "csk-{l20}"), 31: ("ABSK{b120}=", "ABSK{b40}"), 32: ("bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{a64}", "bedrock-api-key-"),
    33: ("{a52}JQQJ99{a26}", "{a20}JQQJ99{a26}"), 34: ('"username":"ada","key":"{h32}', '"username":"ada","key":"none'),
    35: ('CO_API_KEY="{a40}', 'CO_API_KEY="{a20}'), 36: ("MISTRAL_API_KEY={a32}", "MISTRAL_API_KEY={a12}"),
    37: ("TOGETHER_API_KEY: {h64}", "together: {h20}"), 38: ("wandb_key = {h40}", "wandb_key = {h10}"),
    60: ("gho_{a36}", "gho_{a20}"), 61: ("ghu_{a36}", "ghu_{a20}"), 62: ("ghs_{a36}", "ghs_{a20}"), 63: ("ghr_{a36}", "ghr_{a20}"),
    64: ("glrt-{a20}", "glrt-{a10}"), 65: ("gldt-{a20}", "gldt-{a10}"), 66: ("xapp-1-{u11}-{d12}-{h64}", "xapp-1-{u4}"),
    67: ("hooks.slack.com/services/T{u10}/B{u10}/{a24}", "hooks.slack.com/services/help"), 68: ("SG.{a22}.{a43}", "SG.{a22}"),
    69: ("SK{h32}", "SK{h20}"), 70: ("npm_{a36}", "npm_{a20}"), 71: ("pypi-AgEIcHlwaS5vcmc{w80}", "pypi-AgEIcHlwaS5vcmc{a10}"),
    72: ("dop_v1_{h64}", "dop_v1_{h30}"), 73: ("hvs.{a95}", "hvs.{a30}"), 74: ("hvb.{a140}", "hvb.{a30}"),
    75: ("{a14}.atlasv1.{a64}", "{a14}.atlasv1.{a20}"), 76: ("glsa_{a32}_{h8}", "glsa_{a32}"), 77: ("glc_{b60}", "glc_{b12}"),
    78: ("shpat_{h32}", "shpat_{h10}"), 79: ("lin_api_{a40}", "lin_api_{a10}"), 80: ("ntn_{d11}{a35}", "ntn_{d11}"),
    81: ("PMAK-{h24}-{h34}", "PMAK-{h24}"), 82: ("pul-{h40}", "pul-{h20}"), 83: ("dp.pt.{a43}", "dp.pt.{a20}"), 84: ("LTAI{a20}", "LTAI{a10}"),
    85: ("{a3}8Q~{a34}", "{a3}8Q~{a10}"), 86: ("GOCSPX-{a28}", "GOCSPX-{a10}"), 87: ("aws_secret_access_key = {b40}", "aws_secret_access_key = {b20}"),
    88: ("SharedAccessKey={b43}=", "SharedAccessKey={b20}="), 89: ("{d10}:AA{a33}", "{d10}:AA{a10}"), 90: ("AGE-SECRET-KEY-1{k58}", "AGE-SECRET-KEY-1{k20}"),
    91: ("ops_eyJ{b260}", "ops_eyJ{b60}"), 92: ("sntryu_{h64}", "sntryu_{h30}"), 93: ("sntrys_eyJ{b80}_{b43}", "sntrys_eyJ{b80}"),
    94: ("v1.0-{h24}-{h146}", "v1.0-{h24}"), 95: ("fo1_{a43}", "fo1_{a20}"), 96: ("HRKU-AA{a58}", "HRKU-AA{a20}"), 97: ("sbp_{h40}", "sbp_{h20}"),
    98: ("ATATT3{a186}", "ATATT3{a60}"), 99: ("NRAK-{u27}", "NRAK-{u10}"), 100: ("dckr_pat_{a27}", "dckr_pat_{a10}"),
    101: ("rubygems_{h48}", "rubygems_{h20}"), 102: ("AKCp{a69}", "AKCp{a20}"), 103: ("cmVmd{a59}", "cmVmd{a20}"), 104: ("pnu_{a36}", "pnu_{a10}"),
    105: ("pscale_tkn_{a43}", "pscale_tkn_{a10}"), 106: ("sq0atp-{a22}", "sq0atp-{a10}"), 107: ("EAAC{a120}", "EAAC{a40}"),
    108: ("sk.eyJ{a60}.{a22}", "sk.eyJ{a60}"), 109: ("dt0c01.{u24}.{u64}", "dt0c01.{u24}"), 110: ("4b1d{a38}", "4b1d{a20}"),
    111: ("sha256~{a43}", "sha256~{a20}"), 112: ("xkeysib-{h64}-{a16}", "xkeysib-{h64}"), 113: ("pat.{a22}.{a24}.{a20}", "pat.{a22}"),
    114: ("ico-{a32}", "ico-{a20}"), 115: ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{b64}\n{b64}\n", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{b64}\n"),
    116: ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ada@corp\nPublic-Lines: 2\n{b64}\n", "PuTTY-User-Key-File-9: ssh"),
    117: ("postgresql://ada:{a16}@db.corp.test", "postgresql://db.corp.test/x"),
}
MANY = {150: 50, 151: 51, 152: 52, 153: 53, 154: 55, 155: 56, 156: 57}
NUMBERS = (50, 51, 52, 53, 54, 55, 56, 57)
IDS = (*TEMPLATES, *NUMBERS, 58, *MANY)
DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def filled(template: str, rng: random.Random) -> str:
    return re.sub(r"\{([a-z])([0-9]+)\}", lambda found: "".join(rng.choice(SYMBOLS[found[1]]) for _ in range(int(found[2]))), template)


def digits(count: int, rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def grouped(text: str, size: int) -> str:
    return " ".join(text[at:at + size] for at in range(0, len(text), size))


def card(rng: random.Random, off: int = 0) -> str:
    number = rng.choice("3456") + digits(14, rng)
    total = sum(sum(divmod(2 * int(one), 10)) if at % 2 == 0 else int(one) for at, one in enumerate(reversed(number)))
    number += str((-total + off) % 10)
    return rng.choice((number, grouped(number, 4), grouped(number, 4).replace(" ", "-")))


def iban(rng: random.Random, off: int = 0) -> str:
    country, account = rng.choice((("DE", digits(18, rng)), ("FR", digits(23, rng)), ("ES", digits(20, rng)), ("IT", "X" + digits(22, rng))))
    rest = int("".join(str(int(one, 36)) for one in account + country + "00")) % 97
    number = f"{country}{(98 - rest + off - 2) % 97 + 2:02}{account}"
    return rng.choice((number, grouped(number, 4)))


def ssn(rng: random.Random, off: int = 0) -> str:
    area = rng.choice([one for one in range(1, 900) if one != 666])
    return f"{area if not off else rng.choice((0, 666, 912)):03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def nino(rng: random.Random, off: int = 0) -> str:
    while True:
        prefix = rng.choice("ABCEGHJKLMNOPRSTWXYZ") + rng.choice("ABCEGHJKLMNPRSTWXYZ")
        if prefix not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
            break
    prefix = rng.choice(("BG", "GB", "TN", "ZZ", "DA", "FO")) if off else prefix
    return f"{prefix} {digits(2, rng)} {digits(2, rng)} {digits(2, rng)} {rng.choice('ABCD')}"


def de_tax(rng: random.Random, off: int = 0) -> str:
    number, product = rng.choice("123456789") + digits(9, rng), 10
    for one in number:
        product = 2 * ((int(one) + product) % 10 or 10) % 11
    return f"Steuer-ID: {number}{((11 - product) % 10 + off) % 10}"


def fr_nir(rng: random.Random, off: int = 0) -> str:
    number = rng.choice("12") + digits(2, rng) + f"{rng.randint(1, 12):02}{rng.randint(1, 95):02}" + digits(6, rng)
    return number + f"{(97 - int(number) % 97 + off - 1) % 97 + 1:02}"


def es_dni(rng: random.Random, off: int = 0) -> str:
    number = digits(8, rng)
    return number + DNI[(int(number) + off) % 23]


def it_fiscal(rng: random.Random, off: int = 0) -> str:
    text = "".join(rng.choice(string.ascii_uppercase) for _ in range(6)) + digits(2, rng) + rng.choice("ABCDEHLMPRST") + f"{rng.randint(1, 71):02}" \
        + rng.choice("ABCDEFGHIL") + digits(3, rng)
    values = [int(one) if one.isdigit() else ord(one) - 65 for one in text]
    total = sum(ODD[value] if at % 2 == 0 else value for at, value in enumerate(values))
    return text + chr(65 + (total + off) % 26)


MAKERS = dict(zip(NUMBERS, (card, iban, ssn, nino, de_tax, fr_nir, es_dni, it_fiscal), strict=True))


def secrets(number: int, count: int) -> list[str]:
    rng = random.Random(number)
    if number in MANY:
        return [" and ".join(MAKERS[MANY[number]](rng) for _ in range(10)) for _ in range(count)]
    if number == 58:
        return ["; ".join(f"User {at} <{filled('{l8}', rng)}@{filled('{l6}', rng)}.example>" for at in range(20)) for _ in range(count)]
    return [MAKERS[number](rng) if number in MAKERS else filled(TEMPLATES[number][0], rng) for _ in range(count)]


def pieces(number: int, secret: str) -> list[str]:
    """Of one of secrets(number, ...) what must stand nowhere: its random runs of 10 symbols or more, or a number as a whole."""
    if number in TEMPLATES:
        literal = re.split(r"(\{[a-z][0-9]+\})", TEMPLATES[number][0])
        expression = "".join(f"(.{{{one[2:-1]}}})" if at % 2 else re.escape(one) for at, one in enumerate(literal))
        found = re.fullmatch(expression, secret, re.DOTALL)
        assert found is not None
        return [one for one in found.groups() if len(one) >= 10]
    if number in MANY:
        return secret.split(" and ")
    return [secret.removeprefix("Steuer-ID: ")]


def near_misses(number: int, count: int) -> list[str]:
    """As they would be but for a checksum that does not hold, a number that is not given out, or a few symbols."""
    rng = random.Random(-number)
    if number in MANY:
        return [" and ".join([*(MAKERS[MANY[number]](rng) for _ in range(9)), MAKERS[MANY[number]](rng, 1)]) for _ in range(count)]
    if number == 58:
        return ["; ".join(f"User {at} <{filled('{l8}', rng)}@{filled('{l6}', rng)}.example>" for at in range(19)) for _ in range(count)]
    return [MAKERS[number](rng, 1) if number in MAKERS else filled(TEMPLATES[number][1], rng) for _ in range(count)]


def harmless(number: int) -> str:
    return near_misses(number, 1)[0]
