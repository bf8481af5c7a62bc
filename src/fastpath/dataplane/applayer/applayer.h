/* What protocol rooms, dispatch and the rules' side share: the session of a flow above TCP and UDP, its transactions, files,
   and the door of a room. A room is parse(direction, bytes, flags) -> consumed | need | error. */
#ifndef FASTPATH_APPLAYER_H
#define FASTPATH_APPLAYER_H

#include "../types.h"
#include "buffers.h"
#include "events.h"
#include "model/model.h"

/* ---- a transaction ---- */

enum tx_flag {
    TX_LOGGED_TO_SERVER = 1 << 0, TX_LOGGED_TO_CLIENT = 1 << 1,     /* belong to dispatch */
    TX_DETECTED_TO_SERVER = 1 << 2, TX_DETECTED_TO_CLIENT = 1 << 3, /* inspected to its end: belong to match */
    TX_DONE = 1 << 4,           /* the room needs it no more, whatever its progress */
    TX_NO_INSPECTION = 1 << 5,
    TX_NEW = 1 << 6,            /* changed since it was inspected last: set by rooms and dispatch, cleared after detection */
    TX_DECRYPTED = 1 << 7,      /* of the session inside an encrypted one: app_t.inner */
    TX_STORE_TO_SERVER = 1 << 8, TX_STORE_TO_CLIENT = 1 << 9,       /* a rule wants its files of this direction stored */
    TX_UNLOGGED = 1 << 10,      /* a rule wants no event of it (config) */
};
enum { TX_EVENTS_MAX = 12 };

typedef struct tx {             /* the head of every room's own transaction struct */
    struct tx *next;
    uint64_t id;                /* from 0, by flow */
    uint32_t size;              /* of the room's struct, this head included */
    uint16_t flags;             /* TX_* */
    uint8_t progress[2];        /* by direction; room_t.complete[direction] ends it. Only ever grows */
    uint8_t inspected[2];       /* progress at the latest inspection of a direction; belongs to match */
    uint8_t event_count, events_logged;
    uint8_t reserved;
    uint16_t events[TX_EVENTS_MAX];     /* enum app_event */
    uint64_t first_ordinal;     /* of the packet with which it was made */
    struct detect_state *detect[2];     /* rules in progress; belongs to match. Begins with its size in bytes (uint64_t) */
    struct file *files[2];      /* by direction, oldest first */
    uint64_t ts[2];             /* engine time at which a direction was completed, ns */
} tx_t;

/* ---- a file on its way ---- */

enum file_state { FILE_OPEN, FILE_CLOSED, FILE_TRUNCATED, FILE_ERROR };
enum file_flag { FILE_HAS_GAPS = 1 << 0, FILE_STORED = 1 << 1, FILE_LOGGED = 1 << 2, FILE_MD5 = 1 << 3, FILE_SHA1 = 1 << 4,
                 FILE_SHA256 = 1 << 5, FILE_NO_INSPECTION = 1 << 6,
                 FILE_STORE = 1 << 7,       /* a rule wants it stored; FILE_STORED: and it is */
                 FILE_HELD = 1 << 8 };      /* its beginning is kept until libmagic has seen it */

typedef struct file {
    struct file *next;
    uint32_t id;                /* from 1, by flow */
    uint8_t direction, state;
    uint16_t flags;             /* FILE_* */
    uint64_t size;              /* bytes seen, gaps included */
    uint64_t start, end;        /* of a range, as Content-Range says; 0, 0 for none */
    bytes_t name;
    bytes_t data;               /* what may still be inspected: bytes from `base` on */
    uint64_t base, inspected;   /* offsets in the file */
    void *hashes;               /* running digests; belongs to files */
    struct model *model;        /* what it is told to be, where models are looked for (model/model.h); NULL for none */
    uint8_t md5[16], sha1[20], sha256[32];
    uint8_t reserved[4];
    uint64_t closed_ordinal;
    bytes_t sids;               /* of the rules that want it stored, uint32_t each */
    bytes_t magic;              /* what libmagic makes of its beginning; empty until it is asked, and has something to look at */
} file_t;

/* ---- talk with a language model: the record llm.facts, which rates are counted by ---- */

typedef struct llm_facts {
    uint64_t prompt_bytes;      /* of text, unescaped */
    uint64_t model;             /* a hash of its name, 0 for none */
    uint8_t key[8];             /* of the API key's SHA-256 */
    uint8_t has_key, reserved[7];
} llm_facts_t;

/* ---- the session of a flow ---- */

enum app_flag {                 /* app_t.flags */
    APP_SOUGHT_TO_SERVER = 1 << 0, APP_SOUGHT_TO_CLIENT = 1 << 1,   /* recognition is over for this direction */
    APP_STOPPED_TO_SERVER = 1 << 2, APP_STOPPED_TO_CLIENT = 1 << 3, /* a parser gave up: nothing more is handed to it */
    APP_RAW_TO_SERVER = 1 << 4, APP_RAW_TO_CLIENT = 1 << 5,         /* a room wants the raw stream inspected now */
    APP_NO_PAYLOAD = 1 << 6,    /* encrypted from here on: payload and stream are inspected no more */
    APP_NO_REASSEMBLY = 1 << 7, /* and need not be reassembled */
    APP_BYPASS = 1 << 8,        /* the rest of the flow may be offloaded */
    APP_TOLD_TO_SERVER = 1 << 13, APP_TOLD_TO_CLIENT = 1 << 14,     /* an entry of this direction has come since it was recognised */
    APP_UPGRADE = 1 << 9,       /* the bytes that follow are another protocol (CONNECT, STARTTLS): app_t.next_proto or sought anew */
    APP_SHOWN = 1 << 10,        /* a parser has seen bytes: what it is for stands fast */
    APP_TURN_TO_SERVER = 1 << 11, APP_TURN_TO_CLIENT = 1 << 12,     /* recognised, but the other side spoke first and is fed first */
    APP_ERROR = 1 << 15,        /* its parser has just failed: an exception, which the core takes up */
    APP_DECRYPTED = 1 << 16,    /* this is the session inside an encrypted one */
    APP_OPENED = 1 << 17,       /* encrypted, but somebody has the key: it is inspected on */
    APP_STORE_TO_SERVER = 1 << 18, APP_STORE_TO_CLIENT = 1 << 19,   /* a rule wants all files of this direction stored */
    APP_STORING = 1 << 20,      /* files are to be stored: the stream is followed as far as they go */
    APP_UNASKED = 1 << 21,      /* when its protocol was found nobody asked for it: a stream is not parsed then, nor later */
};
enum { APP_EVENTS_MAX = 8 };

typedef struct app {
    uint8_t proto;              /* enum alproto: unknown while sought, failed when given up */
    uint8_t seen[2];            /* what each direction by itself was recognised as */
    uint8_t next_proto;         /* of APP_UPGRADE; ALPROTO_UNKNOWN to be sought */
    uint8_t original_proto;     /* before an upgrade */
    uint8_t event_count;        /* of the session itself (recognition), not of a transaction */
    uint8_t tried[2];           /* TRIED_*: how recognition of a direction stands; belongs to recognition */
    uint32_t probed[2];         /* 1 << protocol of the probes that said no */
    uint16_t events[APP_EVENTS_MAX];
    uint32_t flags;             /* APP_* */
    uint32_t files;             /* made so far */
    uint32_t txs;               /* alive */
    void *state;                /* the room's own; made by it from the pool at the first parse */
    tx_t *first, *last;         /* alive, in the order of their ids */
    uint64_t next_tx;           /* id of the next one: how many there were */
    uint64_t fed[2];            /* bytes consumed by the parser */
    uint32_t need[2];           /* bytes beyond those held that the parser waits for, 0 for any */
    uint32_t events_logged;
    uint8_t beyond;             /* what its bytes are where recognition knows nothing (beyond.pxd); ALPROTO_UNKNOWN */
    uint8_t looked[2];          /* by direction: how often that was asked */
    void *expected;             /* what made dispatch expect this flow (ftp-data); belongs to dispatch */
    struct app *inner;          /* the session that was decrypted from this one, NULL for none; inner_t of dispatch */
    bytes_t carried;            /* what a room leaves to the one that follows it on this session (h2c); dispatch frees it */
    uint64_t opened[2];         /* bytes of each direction that lay open, or were decrypted: TLS and SSH say what did not */
} app_t;

/* ---- what of all this somebody looks at ---- */

typedef struct app_asked {      /* 1 << enum alproto; what nobody asks for, rooms leave out where nothing else follows from it */
    uint64_t protos;            /* their transactions */
    uint64_t contents;          /* bodies and files in them */
} app_asked_t;
_Static_assert(ALPROTO_MAX <= 64, "a bit for each");

/* ---- calls ---- */

typedef struct app_context {    /* what a room may use; holds for one call */
    flow_t *flow;
    app_t *app;
    pool_t *pool;               /* ACCOUNT_APPLAYER */
    const struct app_config *config;
    struct app_work *work;      /* one a worker: inflaters, hashes, room for a body; see config.h */
    uint64_t now;               /* engine time, ns */
    uint64_t ordinal;
    /* of a stream whose protocol is sought: */
    uint32_t held[2];           /* bytes of each direction that wait */
    uint32_t hold_max[2];       /* and how many may, where the other side says nothing */
    uint8_t spoke_first;        /* 1 << direction of the first bytes, 0 for none yet */
    uint8_t changing;           /* the bytes at hand are the first that another protocol sees of this session */
    struct sight *sight;        /* of the bucket: what decryption may take, and what it counts (sight.pxd) */
} app_context_t;

enum parse_flag { PARSE_GAP = 1 << 0, PARSE_EOF = 1 << 1, PARSE_START = 1 << 2,
                  PARSE_DATAGRAM = 1 << 3 };    /* for recognise: over UDP */
enum parse_status { PARSE_OK, PARSE_NEED, PARSE_ERROR, PARSE_DONE };

typedef struct parsed {
    uint32_t consumed;          /* bytes from the front that need not be shown again */
    uint32_t need;              /* PARSE_NEED: bytes beyond the consumed ones without which a call is idle */
    uint32_t status;            /* PARSE_OK; PARSE_NEED; PARSE_ERROR: stop for this flow; PARSE_DONE: nothing more to see, no error */
} parsed_t;

enum recognised { RECOGNISED_NO, RECOGNISED_YES, RECOGNISED_MORE, RECOGNISED_REVERSED };

typedef struct view {           /* bytes of an inspect buffer; they hold until the next call into the room */
    const uint8_t *data;
    uint32_t length;
    uint32_t flags;             /* VIEW_* */
    uint64_t offset;            /* of data[0] in the whole (a body's window), else 0 */
} view_t;
enum view_flag { VIEW_START = 1 << 0, VIEW_END = 1 << 1,    /* holds the first byte, the last byte of the whole */
                 VIEW_LITTLE = 1 << 2 };                    /* its numbers are little-endian: what `dce` asks */
enum view_state { VIEW_NONE, VIEW_READY, VIEW_LATER };      /* there is none; here it is; not yet (a window is not full yet) */

enum log_kind { LOG_TO_SERVER, LOG_TO_CLIENT, LOG_ALERT,
                LOG_LLM };      /* of HTTP/1 alone: what it has to say of a model */
enum { APP_ROW_LLM = 16 };      /* app_row_t.kind of a row that LOG_LLM wrote */

typedef struct room {
    const char *name;           /* as rules and EVE write it; NULL, as all but proto and recognise, for what is but recognised */
    uint8_t proto;              /* enum alproto */
    uint8_t complete[2];        /* progress at which a direction is over */
    uint8_t log_at[2];          /* progress from which on an event is due: LOG_TO_SERVER when to server has come so far,
                                   LOG_TO_CLIENT when both have; in any case at the flow's end */
    uint8_t first_data;         /* 1 << direction of who may speak first; 0 for anyone */
    uint8_t datagrams;          /* 0: over TCP; 1: over UDP, where parse is called once a datagram, with all of it; 2: both */
    uint8_t gaps;               /* takes PARSE_GAP (data NULL, length: missing bytes); else a gap stops the session */
    uint8_t inert;              /* its parser makes transactions and nothing else: none asked for, it need not run */

    /* Are the first bytes of a direction this protocol? Asked where a pattern or a port makes it likely (recognition.h). */
    uint32_t (*recognise)(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags, uint32_t hint);

    /* Bytes in order. Data not consumed is shown again, with more behind it. PARSE_EOF: no more will come. */
    parsed_t (*parse)(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags);

    /* The bytes of an inspect buffer (buffers.h); `index` counts the instances of one that there may be several of. */
    uint32_t (*buffer)(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index, view_t *view);

    /* The rules have seen a direction of a transaction up to its progress: body windows move on. */
    void (*inspected)(app_context_t *context, tx_t *tx, uint32_t direction);

    /* Writes the fields of EVE (msgpack.pxd) as pairs of one open map; False for nothing to say. LOG_TO_*: a direction is
       complete, an event of its own is due; LOG_ALERT: what an alert on this transaction carries. */
    uint32_t (*log)(app_context_t *context, tx_t *tx, uint32_t kind, void *writer);

    void (*free_tx)(app_context_t *context, tx_t *tx);      /* what hangs on the room's struct, not the struct itself */
    void (*free_state)(app_context_t *context);             /* app_t.state and all in it */
} room_t;

#endif
