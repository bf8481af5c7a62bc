/* The opcodes of pickles, protocols 0 to 5, by what follows each and by what it does to the stack. Source: CPython's
   Lib/pickletools.py, which says both of every opcode. */
#ifndef FASTPATH_PICKLE_H
#define FASTPATH_PICKLE_H

#include <stdint.h>

enum pickle_argument {          /* what follows an opcode */
    ARG_BAD,                    /* there is no such opcode */
    ARG_NONE, ARG_1, ARG_2, ARG_4, ARG_8,       /* so many bytes, little-endian */
    ARG_LINE, ARG_LINES,        /* a line, two lines */
    ARG_COUNT1, ARG_COUNT4, ARG_COUNT8,         /* a count, little-endian, and so many bytes */
};

static const uint8_t pickle_arguments[256] = {
    ['('] = ARG_NONE, ['.'] = ARG_NONE, ['0'] = ARG_NONE, ['1'] = ARG_NONE, ['2'] = ARG_NONE, ['F'] = ARG_LINE, ['I'] = ARG_LINE,
    ['J'] = ARG_4, ['K'] = ARG_1, ['L'] = ARG_LINE, ['M'] = ARG_2, ['N'] = ARG_NONE, ['P'] = ARG_LINE, ['Q'] = ARG_NONE,
    ['R'] = ARG_NONE, ['S'] = ARG_LINE, ['T'] = ARG_COUNT4, ['U'] = ARG_COUNT1, ['V'] = ARG_LINE, ['X'] = ARG_COUNT4,
    ['a'] = ARG_NONE, ['b'] = ARG_NONE, ['c'] = ARG_LINES, ['d'] = ARG_NONE, ['}'] = ARG_NONE, ['e'] = ARG_NONE, ['g'] = ARG_LINE,
    ['h'] = ARG_1, ['i'] = ARG_LINES, ['j'] = ARG_4, ['l'] = ARG_NONE, [']'] = ARG_NONE, ['o'] = ARG_NONE, ['p'] = ARG_LINE,
    ['q'] = ARG_1, ['r'] = ARG_4, ['s'] = ARG_NONE, ['t'] = ARG_NONE, [')'] = ARG_NONE, ['u'] = ARG_NONE, ['G'] = ARG_8,
    [0x80] = ARG_1, [0x81] = ARG_NONE, [0x82] = ARG_1, [0x83] = ARG_2, [0x84] = ARG_4, [0x85] = ARG_NONE, [0x86] = ARG_NONE,
    [0x87] = ARG_NONE, [0x88] = ARG_NONE, [0x89] = ARG_NONE, [0x8a] = ARG_COUNT1, [0x8b] = ARG_COUNT4, ['B'] = ARG_COUNT4,
    ['C'] = ARG_COUNT1, [0x8c] = ARG_COUNT1, [0x8d] = ARG_COUNT8, [0x8e] = ARG_COUNT8, [0x8f] = ARG_NONE, [0x90] = ARG_NONE,
    [0x91] = ARG_NONE, [0x92] = ARG_NONE, [0x93] = ARG_NONE, [0x94] = ARG_NONE, [0x95] = ARG_8, [0x96] = ARG_COUNT8,
    [0x97] = ARG_NONE, [0x98] = ARG_NONE,
};

/* Opcodes that only take so many values off and push one that nothing is known of: taken in the low nibble, pushed in the high
   one. Those with a meaning of their own are not here (0xff). */
enum { PICKLE_SPECIAL = 0xff };
#define STACK(taken, pushed) ((pushed) << 4 | (taken))
static const uint8_t pickle_effects[256] = {
    ['F'] = STACK(0, 1), ['I'] = STACK(0, 1), ['J'] = STACK(0, 1), ['K'] = STACK(0, 1), ['L'] = STACK(0, 1), ['M'] = STACK(0, 1),
    ['N'] = STACK(0, 1), ['P'] = STACK(0, 1), ['Q'] = STACK(1, 1), ['a'] = STACK(2, 1), ['b'] = STACK(2, 1), ['}'] = STACK(0, 1),
    [']'] = STACK(0, 1), ['s'] = STACK(3, 1), [')'] = STACK(0, 1), ['G'] = STACK(0, 1), [0x80] = STACK(0, 0), [0x81] = STACK(2, 1),
    [0x85] = STACK(1, 1), [0x86] = STACK(2, 1), [0x87] = STACK(3, 1), [0x88] = STACK(0, 1), [0x89] = STACK(0, 1),
    [0x8a] = STACK(0, 1), [0x8b] = STACK(0, 1), ['B'] = STACK(0, 1), ['C'] = STACK(0, 1), [0x8e] = STACK(0, 1), [0x8f] = STACK(0, 1),
    [0x92] = STACK(3, 1), [0x95] = STACK(0, 0), [0x96] = STACK(0, 1), [0x97] = STACK(0, 1), [0x98] = STACK(1, 1),
    ['R'] = STACK(2, 1),
    ['('] = PICKLE_SPECIAL, ['.'] = PICKLE_SPECIAL, ['0'] = PICKLE_SPECIAL, ['1'] = PICKLE_SPECIAL, ['2'] = PICKLE_SPECIAL,
    ['S'] = PICKLE_SPECIAL, ['T'] = PICKLE_SPECIAL, ['U'] = PICKLE_SPECIAL, ['V'] = PICKLE_SPECIAL, ['X'] = PICKLE_SPECIAL,
    [0x8c] = PICKLE_SPECIAL, [0x8d] = PICKLE_SPECIAL, ['c'] = PICKLE_SPECIAL, ['d'] = PICKLE_SPECIAL, ['e'] = PICKLE_SPECIAL,
    ['g'] = PICKLE_SPECIAL, ['h'] = PICKLE_SPECIAL, ['j'] = PICKLE_SPECIAL, ['i'] = PICKLE_SPECIAL, ['l'] = PICKLE_SPECIAL,
    ['o'] = PICKLE_SPECIAL, ['p'] = PICKLE_SPECIAL, ['q'] = PICKLE_SPECIAL, ['r'] = PICKLE_SPECIAL, ['t'] = PICKLE_SPECIAL,
    ['u'] = PICKLE_SPECIAL, [0x82] = PICKLE_SPECIAL, [0x83] = PICKLE_SPECIAL, [0x84] = PICKLE_SPECIAL, [0x90] = PICKLE_SPECIAL,
    [0x91] = PICKLE_SPECIAL, [0x93] = PICKLE_SPECIAL, [0x94] = PICKLE_SPECIAL,
};

#endif
