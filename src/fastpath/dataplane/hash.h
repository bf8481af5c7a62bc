/* The hash of a flow key: symmetric because the key is normalised. 64 x 64 -> 128 bit products, which Cython cannot say. */
#ifndef FASTPATH_HASH_H
#define FASTPATH_HASH_H

#include <string.h>

#include "types.h"

static inline uint64_t fold_product(uint64_t a, uint64_t b)
{
    /* said twice, made once: halves of a product that is kept whole go through memory */
    return a * b ^ (uint64_t)((unsigned __int128)a * b >> 64);
}

/* Word i of a key: a load of its own, so that compilers do not copy the key to look at it. */
static inline uint64_t key_word(const flow_key_t *key, int i)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)key + 8 * i, 8);
    return word;
}

static inline uint64_t hash_words(uint64_t a, uint64_t b, uint64_t ports, uint64_t rest)
{
    return fold_product(a ^ 0x9e3779b97f4a7c15u, b ^ 0xbf58476d1ce4e5b9u)
         ^ fold_product(ports ^ 0x94d049bb133111ebu, rest ^ 0xd6e8feb86659fd93u);
}

static inline uint64_t hash_key(const flow_key_t *key)
{
    uint64_t hash = hash_words(key_word(key, 0), key_word(key, 2), key_word(key, 4), key_word(key, 5));
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

/* What flow_t keeps of a key in its first line, as three words. */
static inline uint64_t key_heads(const flow_key_t *key)
{
    uint32_t head[2];
    memcpy(&head[0], key->addr[0], 4);
    memcpy(&head[1], key->addr[1], 4);
    return head[0] | (uint64_t)head[1] << 32;
}

static inline uint64_t flow_word(const flow_t *flow, int i)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)&flow->key + 8 * i, 8);
    return word;
}

/* Whether this is the flow of the key. The second line is read for IPv6 alone: of IPv4, all there is zero. */
static inline int flow_has_key(const flow_t *flow, const flow_key_t *key)
{
    uint64_t differs = (flow_word(flow, 0) ^ key_heads(key)) | (flow_word(flow, 1) ^ key_word(key, 4))
                     | (flow_word(flow, 2) ^ key_word(key, 5));
    if (__builtin_expect(key->net == NET_IPV6, 0))
        return differs == 0 && memcmp(flow->key_tail[0], key->addr[0] + 4, 12) == 0 && memcmp(flow->key_tail[1], key->addr[1] + 4, 12) == 0;
    return differs == 0;
}

static inline void set_flow_key(flow_t *flow, const flow_key_t *key)
{
    uint64_t words[3] = {key_heads(key), key_word(key, 4), key_word(key, 5)};
    memcpy(&flow->key, words, sizeof words);
    memcpy(flow->key_tail[0], key->addr[0] + 4, 12);
    memcpy(flow->key_tail[1], key->addr[1] + 4, 12);
}

static inline flow_key_t flow_key_of(const flow_t *flow)
{
    flow_key_t key;
    uint64_t rest[2] = {flow_word(flow, 1), flow_word(flow, 2)};
    for (int i = 0; i < 2; i++) {
        memcpy(key.addr[i], &flow->key.addr[i], 4);
        memcpy(key.addr[i] + 4, flow->key_tail[i], 12);
    }
    memcpy((uint8_t *)&key + sizeof key.addr, rest, sizeof rest);
    return key;
}

/* The hash of a flow's key. That of IPv4 is not put together first: its pieces would be read before they are written. */
static inline uint64_t hash_flow(const flow_t *flow)
{
    if (flow->key.net == NET_IPV6) {
        flow_key_t key = flow_key_of(flow);
        return hash_key(&key);
    }
    return fold_product(hash_words(flow->key.addr[0], flow->key.addr[1], flow_word(flow, 1), flow_word(flow, 2)),
                        0x9fb21c651e98df25u);
}

/* A flow's name in every output: 53 bits, so that JSON readers keep it whole; never 0. `hash` is that of its key. */
static inline uint64_t flow_id_of(uint32_t hash, uint64_t first_ordinal)
{
    return (fold_product(((uint64_t)hash << 32 ^ first_ordinal) + 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u) >> 11) | 1;
}

#endif
