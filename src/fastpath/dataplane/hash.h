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

/* Word i of a key: a load of its own, so that compilers do not copy the key to look at it. */
static inline uint64_t key_word(const flow_key_t *key, int i)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)key + 8 * i, 8);
    return word;
}

static inline uint64_t hash_key(const flow_key_t *key)
{
    uint64_t hash = fold_product(key_word(key, 0) ^ 0x9e3779b97f4a7c15u, key_word(key, 2) ^ 0xbf58476d1ce4e5b9u)
                  ^ fold_product(key_word(key, 4) ^ 0x94d049bb133111ebu, key_word(key, 5) ^ 0xd6e8feb86659fd93u);
    if (key->net == NET_IPV6)
        hash ^= fold_product(key_word(key, 1) ^ 0xa0761d6478bd642fu, key_word(key, 3) ^ 0xe7037ed1a0b428dbu);
    return fold_product(hash, 0x9fb21c651e98df25u);
}

static inline int same_key(const flow_key_t *a, const flow_key_t *b)
{
    uint64_t differs = 0;
    for (int i = 0; i < 6; i++)
        differs |= key_word(a, i) ^ key_word(b, i);
    return differs == 0;
}

/* A flow's name in every output: 53 bits, so that JSON readers keep it whole; never 0. `hash` is that of its key. */
static inline uint64_t flow_id_of(uint32_t hash, uint64_t first_ordinal)
{
    return (fold_product(((uint64_t)hash << 32 ^ first_ordinal) + 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u) >> 11) | 1;
}

#endif
