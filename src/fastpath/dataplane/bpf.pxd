"""The BPF machine: runs a filter program, as pcap-filter(7) compiles it, over one packet.

The semantics are those of "The BSD Packet Filter" (McCanne and Jacobson, 1993): a load beyond the captured bytes and a
division by zero reject the packet. Programs are checked once by `bpf_valid`, so that the run itself needs no checks but those.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    BPF_WORDS = 16              # of scratch memory
    BPF_PROGRAM_MAX = 65536     # instructions
    BPF_BACK_MAX = 65536        # jumps backwards in one run: only `protochain` makes loops, one round a header

ctypedef struct bpf_insn_t:
    uint16_t code
    uint8_t jt, jf
    uint32_t k

cdef enum bpf_code:
    LD_W_ABS = 0x20
    LD_H_ABS = 0x28
    LD_B_ABS = 0x30
    LD_W_IND = 0x40
    LD_H_IND = 0x48
    LD_B_IND = 0x50
    LD_W_LEN = 0x80
    LD_IMM = 0x00
    LD_MEM = 0x60
    LDX_IMM = 0x01
    LDX_MEM = 0x61
    LDX_W_LEN = 0x81
    LDX_B_MSH = 0xb1
    ST = 0x02
    STX = 0x03
    ADD_K = 0x04
    ADD_X = 0x0c
    SUB_K = 0x14
    SUB_X = 0x1c
    MUL_K = 0x24
    MUL_X = 0x2c
    DIV_K = 0x34
    DIV_X = 0x3c
    OR_K = 0x44
    OR_X = 0x4c
    AND_K = 0x54
    AND_X = 0x5c
    LSH_K = 0x64
    LSH_X = 0x6c
    RSH_K = 0x74
    RSH_X = 0x7c
    NEG = 0x84
    MOD_K = 0x94
    MOD_X = 0x9c
    XOR_K = 0xa4
    XOR_X = 0xac
    JA = 0x05
    JEQ_K = 0x15
    JEQ_X = 0x1d
    JGT_K = 0x25
    JGT_X = 0x2d
    JGE_K = 0x35
    JGE_X = 0x3d
    JSET_K = 0x45
    JSET_X = 0x4d
    RET_K = 0x06
    RET_X = 0x0e
    RET_A = 0x16
    TAX = 0x07
    TXA = 0x87


cdef inline bint bpf_valid(const bpf_insn_t *program, uint32_t count) noexcept nogil:
    """Whether every code is known, every jump lands inside, every word exists and the last instruction returns."""
    cdef uint32_t i, last, code
    if count == 0 or count > BPF_PROGRAM_MAX:
        return False
    for i in range(count):
        code = program[i].code
        last = count - 1 - i        # instructions that follow
        if code == LD_MEM or code == LDX_MEM or code == ST or code == STX:
            if program[i].k >= BPF_WORDS:
                return False
        elif code == JA:
            # the offset is signed where it points backwards
            if program[i].k >= last and <int32_t>program[i].k >= 0:
                return False
            if <int32_t>program[i].k < 0 and -(<int32_t>program[i].k + 1) > <int32_t>i:
                return False
        elif code & 0x07 == 0x05:
            if code < JEQ_K or code > JSET_X or program[i].jt >= last or program[i].jf >= last:
                return False
        elif code == DIV_K or code == MOD_K:
            if program[i].k == 0:
                return False
        elif not (
            code == LD_W_ABS or code == LD_H_ABS or code == LD_B_ABS or code == LD_W_IND or code == LD_H_IND
            or code == LD_B_IND or code == LD_W_LEN or code == LD_IMM or code == LDX_IMM or code == LDX_W_LEN
            or code == LDX_B_MSH or code == NEG or code == TAX or code == TXA
            or code == RET_K or code == RET_X or code == RET_A
            or (code & 0x07 == 0x04 and code <= XOR_X and code != NEG + 8)
        ):
            return False
    code = program[count - 1].code
    return code == RET_K or code == RET_A or code == RET_X


cdef inline bint bpf_load(const uint8_t *packet, uint32_t caplen, uint64_t at, uint32_t size, uint32_t *value) noexcept nogil:
    """Loads 1, 2 or 4 bytes in network order; False where they are not all captured."""
    if at + size > caplen:
        return False
    packet += at
    if size == 1:
        value[0] = packet[0]
    elif size == 2:
        value[0] = <uint32_t>packet[0] << 8 | packet[1]
    else:
        value[0] = <uint32_t>packet[0] << 24 | <uint32_t>packet[1] << 16 | <uint32_t>packet[2] << 8 | packet[3]
    return True


cdef inline uint32_t bpf_run(const bpf_insn_t *program, const uint8_t *packet, uint32_t wirelen,
                             uint32_t caplen) noexcept nogil:
    """What the program returns for the packet: 0 rejects it. The program has passed `bpf_valid`."""
    cdef uint32_t a = 0, x = 0, k, value, backwards = 0
    cdef uint32_t[BPF_WORDS] words
    cdef const bpf_insn_t *insn = program
    cdef uint32_t code, i
    for i in range(BPF_WORDS):
        words[i] = 0
    while True:
        code = insn.code
        k = insn.k
        if code == RET_K:
            return k
        elif code == RET_A:
            return a
        elif code == RET_X:
            return x
        elif code == LD_W_ABS:
            if not bpf_load(packet, caplen, k, 4, &a):
                return 0
        elif code == LD_H_ABS:
            if not bpf_load(packet, caplen, k, 2, &a):
                return 0
        elif code == LD_B_ABS:
            if not bpf_load(packet, caplen, k, 1, &a):
                return 0
        elif code == LD_W_IND:
            if not bpf_load(packet, caplen, <uint64_t>x + k, 4, &a):
                return 0
        elif code == LD_H_IND:
            if not bpf_load(packet, caplen, <uint64_t>x + k, 2, &a):
                return 0
        elif code == LD_B_IND:
            if not bpf_load(packet, caplen, <uint64_t>x + k, 1, &a):
                return 0
        elif code == LDX_B_MSH:
            if not bpf_load(packet, caplen, k, 1, &value):
                return 0
            x = (value & 0x0f) << 2
        elif code == LD_W_LEN:
            a = wirelen
        elif code == LDX_W_LEN:
            x = wirelen
        elif code == LD_IMM:
            a = k
        elif code == LDX_IMM:
            x = k
        elif code == LD_MEM:
            a = words[k]
        elif code == LDX_MEM:
            x = words[k]
        elif code == ST:
            words[k] = a
        elif code == STX:
            words[k] = x
        elif code == TAX:
            x = a
        elif code == TXA:
            a = x
        elif code == NEG:
            a = 0 - a
        elif code == JA:
            if <int32_t>k < 0:
                backwards += 1
                if backwards > BPF_BACK_MAX:
                    return 0
            insn += <int32_t>k
        elif code & 0x07 == 0x05:
            value = x if code & 0x08 else k
            code &= 0xf0
            if code == 0x10:
                insn += insn.jt if a == value else insn.jf
            elif code == 0x20:
                insn += insn.jt if a > value else insn.jf
            elif code == 0x30:
                insn += insn.jt if a >= value else insn.jf
            else:
                insn += insn.jt if a & value else insn.jf
        else:
            value = x if code & 0x08 else k
            code &= 0xf0
            if code == 0x00:
                a += value
            elif code == 0x10:
                a -= value
            elif code == 0x20:
                a *= value
            elif code == 0x30:
                if value == 0:
                    return 0
                a //= value
            elif code == 0x40:
                a |= value
            elif code == 0x50:
                a &= value
            elif code == 0x60:
                a = a << value if value < 32 else 0
            elif code == 0x70:
                a = a >> value if value < 32 else 0
            elif code == 0x90:
                if value == 0:
                    return 0
                a %= value
            else:
                a ^= value
        insn += 1
