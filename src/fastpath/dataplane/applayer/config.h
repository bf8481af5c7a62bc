/* The settings of the rooms, from app-layer.protocols of a suricata.yaml, and the working memory that they share. One struct a
   room; a room adds its own fields and, in settings.pyx, the key that sets each. */
#ifndef FASTPATH_APP_CONFIG_H
#define FASTPATH_APP_CONFIG_H

#include "applayer.h"

typedef struct tls_config {
    uint8_t ja3, ja4;           /* are fingerprints made? */
    uint8_t log_ja4;            /* is JA4 in the events of sessions? Alerts have it, and JA3 is in both, where they are made */
    uint8_t encryption_handling;    /* once a session is encrypted: 0 track-only, 1 bypass, 2 full */
    const struct keyring *keys[2];  /* secrets that were given, and those that the capture brings; NULL for none (keyring.pxd) */
} tls_config_t;
typedef struct http1_config {
    uint32_t body_limit[2];     /* bytes of a body that are kept for rules and files, by direction; 0 for all */
    uint32_t inspect_min[2];    /* a body is looked at once so much of it is there, or all of it */
    uint32_t inspect_window[2]; /* what has been looked at is seen again with this much, at least */
    uint32_t layers;            /* of Content-Encoding that are undone; 0 for any number */
    uint32_t bomb_limit;        /* decoded bytes from which on a ratio beyond 2048 ends a body */
    uint32_t max_txs;           /* alive in one session */
    uint8_t body_inline;        /* bodies are looked at as they come */
    uint8_t double_decode_path, double_decode_query;
    uint8_t brotli;             /* is it undone? */
    uint32_t lzma_memlimit;     /* bytes of window; 0: lzma is not undone */
} http1_config_t;
typedef struct http2_config {
    uint32_t max_streams;       /* alive in one session */
    uint32_t max_table;         /* bytes of a dynamic table of headers that are kept */
    uint32_t max_block;         /* bytes of a header block that are put together from its frames */
} http2_config_t;
typedef struct dns_config { uint32_t reserved; } dns_config_t;
typedef struct smtp_config { uint32_t content_limit, content_inspect_min_size, content_inspect_window; } smtp_config_t;
typedef struct ftp_config { uint32_t max_txs, max_line; } ftp_config_t;
typedef struct ssh_config { uint8_t hassh, reserved[3]; } ssh_config_t;
typedef struct smb_config { uint32_t stream_depth, max_tx; } smb_config_t;
typedef struct dcerpc_config { uint32_t max_tx, max_stub; } dcerpc_config_t;
typedef struct files_config {
    uint8_t hashes;             /* FILE_MD5 | FILE_SHA1 | FILE_SHA256 of every file */
    uint8_t force_store;        /* every file is stored, whatever rules say */
    uint8_t stores;             /* files are stored at all */
    uint32_t store_depth;       /* bytes of a file that is to be stored; 0 for all */
    uint8_t models;             /* are models looked for? */
    uint8_t force_magic;        /* libmagic is asked about every file, whatever rules say */
    /* of the module models: the next bytes of a file; its end, the whole of it seen or not; its memory given back */
    void (*feed_model)(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length);
    void (*end_model)(app_context_t *context, tx_t *tx, file_t *file, uint32_t whole);
    void (*free_model)(app_context_t *context, file_t *file);
} files_config_t;

typedef struct llm_config {
    uint32_t text_limit;        /* bytes of a prompt, and of a response, that are kept for rules */
    uint8_t always;             /* bodies are read though no rule asks */
} llm_config_t;

typedef struct app_config {
    uint8_t enabled[ALPROTO_MAX];           /* 0 no, 1 yes, 2 recognised but not parsed (detection-only) */
    uint8_t beyond;                         /* what recognition does not know is looked at by beyond.pxd */
    http1_config_t http1;
    http2_config_t http2;
    tls_config_t tls;
    dns_config_t dns;
    smtp_config_t smtp;
    ftp_config_t ftp;
    ssh_config_t ssh;
    smb_config_t smb;
    dcerpc_config_t dcerpc;
    files_config_t files;
    llm_config_t llm;
} app_config_t;

enum { WORK_ROOM = 1 << 18, PLAIN_ROOM = (1 << 14) + 1024 };
typedef struct app_work {       /* one a worker */
    app_asked_t asked;
    uint8_t *room;              /* WORK_ROOM bytes: holds what a buffer() call builds, until the next one */
    void *of_room[ALPROTO_MAX]; /* what a room keeps from call to call: an inflater, say; freed with the worker by free_work */
    struct worker *worker;      /* whose it is: for `meet` */
    /* Whether another flow told of this one, whose data come in this direction and are of no protocol that can be recognised:
       then app_t.expected holds what it told. NULL: nobody asks. */
    uint32_t (*meet)(app_context_t *context, uint32_t direction);
    void *announced;            /* announced_t: flows that rooms told of and that are not in the table yet (expectations.pxd) */
    uint8_t *plain;             /* PLAIN_ROOM bytes: the record that was decrypted last */
    /* Takes decrypted bytes of a direction, in order, for the session inside. PARSE_GAP: nothing more can be decrypted of it.
       NULL: nobody looks into them. */
    void (*deliver)(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags);
    uint8_t llm;                /* bodies of HTTP are read for what they say to models: rules ask for it, or llm_config_t.always */
    /* Takes bytes of a file that is, or may yet be, stored. NULL: none are stored. */
    void (*store)(app_context_t *context, const tx_t *tx, const file_t *file, const uint8_t *data, uint32_t length);
    void *magic;                /* libmagic's cookie; NULL while neither a rule nor a setting asks for it */
    /* Fills in file_t.magic, once there is enough of the file to ask libmagic about (magic.pxd). */
    void (*tell_magic)(app_context_t *context, file_t *file);
} app_work_t;

#endif
