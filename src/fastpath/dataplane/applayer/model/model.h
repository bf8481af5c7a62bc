/* What a file is told to be where models are looked for: its format, what its header says of it, and why it is not safe to load.
   The words are those of EVE and of the buffers file.model and file.model_unsafe. */
#ifndef FASTPATH_MODEL_H
#define FASTPATH_MODEL_H

#include <stdint.h>

/* identifier, name */
#define FASTPATH_MODEL_FORMATS(X) \
    X(MODEL_NONE, "") \
    X(MODEL_SAFETENSORS, "safetensors") \
    X(MODEL_GGUF, "gguf") \
    X(MODEL_PYTORCH, "pytorch") \
    X(MODEL_PICKLE, "pickle") \
    X(MODEL_ONNX, "onnx") \
    X(MODEL_SAVEDMODEL, "savedmodel") \
    X(MODEL_HDF5, "hdf5") \
    X(MODEL_KERAS_HDF5, "keras_hdf5") \
    X(MODEL_KERAS, "keras") \
    X(MODEL_TENSORRT, "tensorrt") \
    X(MODEL_NPY, "npy") \
    X(MODEL_NPZ, "npz") \
    X(MODEL_ARCHIVE, "archive")

/* identifier, the word that begins a finding; docs/models.md explains each */
#define FASTPATH_MODEL_FINDINGS(X) \
    X(FOUND_PICKLE_IMPORT, "pickle_import") \
    X(FOUND_PICKLE_UNKNOWN, "pickle_unknown_import") \
    X(FOUND_PICKLE_UNRESOLVED, "pickle_unresolved_import") \
    X(FOUND_PICKLE_EXTENSION, "pickle_extension") \
    X(FOUND_PICKLE_BOMB, "pickle_bomb") \
    X(FOUND_PICKLE_LIMIT, "pickle_limit") \
    X(FOUND_PICKLE_MALFORMED, "pickle_malformed") \
    X(FOUND_KERAS_LAMBDA, "keras_lambda") \
    X(FOUND_GGUF_TEMPLATE, "gguf_template") \
    X(FOUND_GGUF_HEADER, "gguf_header") \
    X(FOUND_SAFETENSORS_HEADER, "safetensors_header") \
    X(FOUND_SAFETENSORS_LENGTH, "safetensors_length") \
    X(FOUND_ONNX_PATH, "onnx_external_path") \
    X(FOUND_ONNX_MALFORMED, "onnx_malformed") \
    X(FOUND_TENSORFLOW_OP, "tensorflow_op") \
    X(FOUND_SAVEDMODEL_MALFORMED, "savedmodel_malformed") \
    X(FOUND_ZIP_PATH, "zip_path") \
    X(FOUND_ZIP_SYMLINK, "zip_symlink") \
    X(FOUND_ZIP_MISMATCH, "zip_mismatch") \
    X(FOUND_ZIP_BOMB, "zip_bomb") \
    X(FOUND_ZIP_MALFORMED, "zip_malformed") \
    X(FOUND_JSON_MALFORMED, "json_malformed") \
    X(FOUND_TAR_PATH, "tar_path") \
    X(FOUND_TAR_MALFORMED, "tar_malformed") \
    X(FOUND_GZIP_MALFORMED, "gzip_malformed")

#define FASTPATH_MODEL_ID(name, text) name,
enum model_format { FASTPATH_MODEL_FORMATS(FASTPATH_MODEL_ID) MODEL_FORMATS };
enum model_found { FASTPATH_MODEL_FINDINGS(FASTPATH_MODEL_ID) MODEL_FOUND };
#define FASTPATH_MODEL_TEXT(name, text) text,
static const char *const model_format_names[] = { FASTPATH_MODEL_FORMATS(FASTPATH_MODEL_TEXT) };
static const char *const model_found_names[] = { FASTPATH_MODEL_FINDINGS(FASTPATH_MODEL_TEXT) };

enum { MODEL_FINDINGS_MAX = 16, MODEL_FINDING_TEXT = 126, MODEL_NOTE_MAX = 64, MODEL_PREFIX = 264 };

typedef struct model_finding {
    uint8_t kind, length;
    char text[MODEL_FINDING_TEXT];      /* the word, and behind a blank what it is about */
} model_finding_t;

typedef struct model_facts {
    uint8_t format;             /* enum model_format; MODEL_NONE while it is not known */
    uint8_t count;              /* of findings */
    uint8_t more;               /* there were others, for which there was no room */
    uint8_t note_length;
    uint32_t version;           /* of the format, as it says */
    uint64_t tensors, parameters;       /* 0 where it does not say */
    uint64_t imports;           /* of its pickles */
    uint64_t inner;             /* members of an archive, nodes of a graph */
    char note[MODEL_NOTE_MAX];  /* architecture or producer, as it says */
    model_finding_t findings[MODEL_FINDINGS_MAX];
} model_facts_t;

typedef struct model {          /* file_t.model */
    model_facts_t *facts;       /* NULL while its first bytes are collected */
    void *walk;                 /* walk_t; begins with the facts */
    uint32_t prefix_length;
    uint8_t stopped;            /* a gap, or memory: nothing more is looked at */
    uint8_t prefix[MODEL_PREFIX];    /* as many as tell a tar */
} model_t;

#endif
