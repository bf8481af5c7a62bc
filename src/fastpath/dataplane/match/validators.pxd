# Is a number that an expression found what it looks like? Checksums and rules of numbering, over the bytes that the step before
# took;
# blanks, dots and dashes between the digits do not count.
#
#   card      payment card: 13 to 19 digits, Luhn (ISO/IEC 7812-1 annex B)
#   iban      ISO 13616: mod 97 of ISO 7064
#   us_ssn    no checksum: areas 000, 666 and 9xx, group 00 and serial 0000 are never given out
#   uk_nino   no checksum: prefixes that are never given out (HMRC manual NIM39110)
#   de_tax    Steuer-ID: 11 digits, ISO 7064 mod 11,10
#   fr_nir    numéro de sécurité sociale: 97 - mod 97; 2A and 2B of Corsica count as 19 and 18
#   es_dni    DNI and NIE: letter by mod 23
#   it_fiscal codice fiscale: check letter over odd and even places
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.program cimport (
    VALIDATE_CARD, VALIDATE_DE_TAX, VALIDATE_ES_DNI, VALIDATE_FR_NIR, VALIDATE_IBAN, VALIDATE_IT_FISCAL, VALIDATE_UK_NINO,
    VALIDATE_US_SSN,
)

cdef enum:
    SYMBOLS_MAX = 40
    # value of OP_VALIDATE: the validator, and above it how many valid numbers must follow the first
    VALIDATOR_BITS = 8
    VALIDATOR_MASK = 0xff


cdef inline uint32_t symbols_of(const uint8_t *data, uint32_t length, uint8_t *symbols) noexcept nogil:
    """Digits as 0 to 9, letters as 10 to 35, without what stands between them; 0 where something else does, or too many do."""
    cdef uint32_t i, n = 0
    cdef uint8_t c
    for i in range(length):
        c = data[i]
        if c == 32 or c == 45 or c == 46:
            continue
        if n == SYMBOLS_MAX:
            return 0
        if 48 <= c <= 57:
            symbols[n] = <uint8_t>(c - 48)
        elif 97 <= c | 32 <= 122:
            symbols[n] = <uint8_t>((c | 32) - 87)
        else:
            return 0
        n += 1
    return n


cdef inline bint all_digits(const uint8_t *symbols, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(n):
        if symbols[i] > 9:
            return False
    return True


cdef inline uint64_t number_of(const uint8_t *symbols, uint32_t n) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t i
    for i in range(n):
        value = value * 10 + symbols[i]
    return value


cdef inline bint luhn_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    cdef uint32_t i, digit, total = 0
    for i in range(n):
        digit = symbols[n - 1 - i]
        if i & 1:
            digit = 2 * digit - 9 if digit > 4 else 2 * digit
        total += digit
    return total % 10 == 0


cdef inline bint card_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    """Digits that are all alike pass Luhn now and then, and are nobody's card."""
    cdef uint32_t i
    if not 13 <= n <= 19 or not all_digits(symbols, n) or symbols[0] == 0 or not luhn_holds(symbols, n):
        return False
    for i in range(1, n):
        if symbols[i] != symbols[0]:
            return True
    return False


cdef inline bint iban_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    """The first four symbols count last."""
    cdef uint32_t i, at, rest = 0
    if not 15 <= n <= 34 or symbols[0] < 10 or symbols[1] < 10 or symbols[2] > 9 or symbols[3] > 9:
        return False
    for i in range(n):
        at = symbols[(i + 4) % n]
        rest = (rest * 10 + at if at < 10 else rest * 100 + at) % 97
    return rest == 1


cdef inline bint ssn_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    cdef uint64_t area
    if n != 9 or not all_digits(symbols, n):
        return False
    area = number_of(symbols, 3)
    return area != 0 and area != 666 and area < 900 and number_of(symbols + 3, 2) != 0 and number_of(symbols + 5, 4) != 0


cdef inline bint nino_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    """Neither D F I Q U V as a letter of the prefix, nor O as its second; nor BG GB KN NK NT TN ZZ; a suffix from A to D."""
    cdef uint32_t i, pair
    if n != 9 or symbols[0] < 10 or symbols[1] < 10 or not all_digits(symbols + 2, 6) or not 10 <= symbols[8] <= 13:
        return False
    for i in range(2):
        if symbols[i] in (13, 15, 18, 26, 30, 31):
            return False
    pair = <uint32_t>symbols[0] << 8 | symbols[1]
    return symbols[1] != 24 and pair not in (0x0b10, 0x100b, 0x1417, 0x1714, 0x171d, 0x1d17, 0x2323)


cdef inline bint de_tax_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    cdef uint32_t i, rest = 10
    if n != 11 or not all_digits(symbols, n) or symbols[0] == 0:
        return False
    for i in range(10):
        rest = (rest + symbols[i]) % 10
        rest = 2 * (rest if rest else 10) % 11
    return (11 - rest) % 10 == symbols[10]


cdef inline bint fr_nir_holds(uint8_t *symbols, uint32_t n) noexcept nogil:
    """The department, places 6 and 7, may be 2A or 2B."""
    if n != 15 or not 1 <= symbols[0] <= 8:
        return False
    if symbols[5] == 2 and symbols[6] in (10, 11):
        symbols[5] = 1
        symbols[6] = 9 if symbols[6] == 10 else 8
    return all_digits(symbols, n) and 97 - number_of(symbols, 13) % 97 == number_of(symbols + 13, 2)


cdef inline bint es_dni_holds(uint8_t *symbols, uint32_t n) noexcept nogil:
    """X, Y, Z before the number of a foreigner count as 0, 1, 2."""
    cdef const char *letters = b"TRWAGMYFPDXBNJZSQVHLCKE"
    if n != 9 or symbols[8] < 10:
        return False
    if 33 <= symbols[0] <= 35:
        symbols[0] -= 33
    return all_digits(symbols, 8) and <uint8_t>letters[number_of(symbols, 8) % 23] - 55 == symbols[8]


cdef inline bint it_fiscal_holds(const uint8_t *symbols, uint32_t n) noexcept nogil:
    """Odd places count by a table, even ones by themselves (letters from A as 0); the check letter is the sum mod 26."""
    cdef const uint8_t *odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
    cdef uint32_t i, value, total = 0
    if n != 16 or symbols[15] < 10:
        return False
    for i in range(6):
        if symbols[i] < 10:
            return False
    for i in range(15):
        value = symbols[i] if symbols[i] < 10 else symbols[i] - 10
        total += value if i & 1 else odd[value]
    return total % 26 == <uint32_t>(symbols[15] - 10)


cdef inline bint is_valid(uint32_t kind, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint8_t symbols[SYMBOLS_MAX]
    cdef uint32_t n = symbols_of(data, length, symbols)
    if kind == VALIDATE_CARD:
        return card_holds(symbols, n)
    if kind == VALIDATE_IBAN:
        return iban_holds(symbols, n)
    if kind == VALIDATE_US_SSN:
        return ssn_holds(symbols, n)
    if kind == VALIDATE_UK_NINO:
        return nino_holds(symbols, n)
    if kind == VALIDATE_DE_TAX:
        return de_tax_holds(symbols, n)
    if kind == VALIDATE_FR_NIR:
        return fr_nir_holds(symbols, n)
    if kind == VALIDATE_ES_DNI:
        return es_dni_holds(symbols, n)
    return it_fiscal_holds(symbols, n)
