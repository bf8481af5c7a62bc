/* The hash of a flow key: symmetric because the key is normalised. 64 x 64 -> 128 bit products, which Cython cannot say. */
#ifndef FASTPATH_HASH_H
#define FASTPATH_HASH_H

#include <string.h>

#include "types.h"

static inline uint64_t fold_product(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_key(const flow_key_t *key)
{
    uint64_t word[6];
    memcpy(word, key, sizeof word);
    uint64_t hash = fold_product(word[0] ^ 0x9e3779b97f4a7c15u, word[2] ^ 0xbf58476d1ce4e5b9u)
                  ^ fold_product(word[4] ^ 0x94d049bb133111ebu, word[5] ^ 0xd6e8feb86659fd93u);
    if (key->net == NET_IPV6)
        hash ^= fold_product(word[1] ^ 0xa0761d6478bd642fu, word[3] ^ 0xe7037ed1a0b428dbu);
    return fold_product(hash, 0x9fb21c651e98df25u);
}

static inline int same_key(const flow_key_t *a, const flow_key_t *b)
{
    uint64_t x[6], y[6];
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]) | (x[5] ^ y[5]));
}

/* A flow's name in every output: 53 bits, so that JSON readers keep it whole; never 0. `hash` is that of its key. */
static inline uint64_t flow_id_of(uint32_t hash, uint64_t first_ordinal)
{
    return (fold_product(((uint64_t)hash << 32 ^ first_ordinal) + 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u) >> 11) | 1;
}

#endif
