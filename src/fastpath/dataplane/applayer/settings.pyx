# See settings.pxd.
from fastpath.dataplane.applayer.applayer cimport app_config_t


#: By tls_config_t.encryption_handling.
ENCRYPTION_HANDLING = {"default": 0, "track-only": 0, "bypass": 1, "full": 2}


cdef void default_settings(app_config_t *config) noexcept nogil:
    """Suricata 7.0.10's stock values."""
    config.http1.body_limit[:] = [100 << 10, 100 << 10]
    config.http1.inspect_min[:] = [32 << 10, 40 << 10]
    config.http1.inspect_window[:] = [4 << 10, 16 << 10]
    config.http1.layers = 2
    config.http1.bomb_limit = 1 << 20
    config.http1.max_txs = 512
    config.http2.max_streams = 4096
    config.http2.max_table = 64 << 10
    config.http2.max_block = 100 << 10
    config.tls.ja3 = config.tls.ja4 = config.ssh.hassh = 1
    config.smtp.content_limit = 100000
    config.smtp.content_inspect_min_size = 32768
    config.smtp.content_inspect_window = 4096
    config.ftp.max_txs = 1024
    config.ftp.max_line = 4096
    config.smb.max_tx = config.dcerpc.max_tx = 1024
    config.dcerpc.max_stub = 1 << 20
    config.llm.text_limit = 64 << 10


cdef void read_settings(app_config_t *config, settings) except *:
    """Keys: "http.request-body-limit" and the others of libhtp's default-config, "http2.max-streams",
    "http2.max-table-size", "http2.max-reassembly-size" (bytes), "smtp.content-limit",
    "smtp.content-inspect-min-size", "ssh.hassh", "tls.ja3", "tls.ja4", "tls.log-ja4", "tls.encryption-handling" ("default",
    "bypass", "full"), "files.hashes" (FILE_* bits), "files.models" (bool), "llm.text-limit" (bytes),
    "llm.always", "files.stores", "files.force-store", "files.force-magic", "files.store-depth" (bytes; 0: all)."""
    for direction, side in enumerate(("request", "response")):
        config.http1.body_limit[direction] = settings.get(f"http.{side}-body-limit", config.http1.body_limit[direction])
        config.http1.inspect_min[direction] = settings.get(f"http.{side}-body-minimal-inspect-size",
                                                           config.http1.inspect_min[direction])
        config.http1.inspect_window[direction] = settings.get(f"http.{side}-body-inspect-window",
                                                              config.http1.inspect_window[direction])
    config.http1.layers = settings.get("http.response-body-decompress-layer-limit", config.http1.layers)
    config.http1.bomb_limit = settings.get("http.compression-bomb-limit", config.http1.bomb_limit)
    config.http1.lzma_memlimit = settings.get("http.lzma-memlimit", 1 << 20) if settings.get("http.lzma-enabled") else 0
    config.http1.brotli = settings.get("http.brotli", False)
    config.http1.max_txs = settings.get("http.max-tx", config.http1.max_txs)
    config.http1.body_inline = settings.get("http.http-body-inline", config.http1.body_inline)
    config.http1.double_decode_path = settings.get("http.double-decode-path", config.http1.double_decode_path)
    config.http1.double_decode_query = settings.get("http.double-decode-query", config.http1.double_decode_query)
    config.http2.max_streams = settings.get("http2.max-streams", config.http2.max_streams)
    config.http2.max_table = settings.get("http2.max-table-size", config.http2.max_table)
    config.http2.max_block = settings.get("http2.max-reassembly-size", config.http2.max_block)
    config.smtp.content_limit = settings.get("smtp.content-limit", config.smtp.content_limit)
    config.smtp.content_inspect_min_size = settings.get("smtp.content-inspect-min-size", config.smtp.content_inspect_min_size)
    config.smtp.content_inspect_window = settings.get("smtp.content-inspect-window", config.smtp.content_inspect_window)
    config.tls.ja3 = settings.get("tls.ja3", config.tls.ja3)
    config.tls.ja4 = settings.get("tls.ja4", config.tls.ja4)
    config.tls.log_ja4 = settings.get("tls.log-ja4", config.tls.log_ja4)
    config.tls.encryption_handling = ENCRYPTION_HANDLING[settings.get("tls.encryption-handling", "default")]
    config.ssh.hassh = settings.get("ssh.hassh", config.ssh.hassh)
    config.files.hashes = settings.get("files.hashes", config.files.hashes)
    config.files.stores = settings.get("files.stores", False)
    config.files.force_store = settings.get("files.force-store", False)
    config.files.force_magic = settings.get("files.force-magic", False)
    config.files.store_depth = settings.get("files.store-depth", 1 << 20)
    config.llm.text_limit = settings.get("llm.text-limit", config.llm.text_limit)
    config.llm.always = settings.get("llm.always", config.llm.always)
    config.files.models = settings.get("files.models", False)
