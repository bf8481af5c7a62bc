# See settings.pxd.
from fastpath.dataplane.applayer.applayer cimport app_config_t
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER


cdef void default_settings(app_config_t *config) noexcept nogil:
    """Suricata 7.0.10's stock values."""
    config.http1.body_limit[TO_SERVER] = config.http1.body_limit[TO_CLIENT] = 100 << 10
    config.http1.inspect_min[TO_SERVER], config.http1.inspect_window[TO_SERVER] = 32 << 10, 4 << 10
    config.http1.inspect_min[TO_CLIENT], config.http1.inspect_window[TO_CLIENT] = 40 << 10, 16 << 10
    config.http1.layers = 2
    config.http1.bomb_limit = 1 << 20
    config.http1.max_txs = 512
    config.tls.ja3 = config.tls.ja4 = config.ssh.hassh = 1
    config.smtp.content_limit = 100000
    config.smtp.content_inspect_min_size = 32768
    config.smtp.content_inspect_window = 4096
    config.ftp.max_txs = 1024
    config.ftp.max_line = 4096
    config.smb.max_tx = config.dcerpc.max_tx = 1024
    config.dcerpc.max_stub = 1 << 20


cdef void read_settings(app_config_t *config, settings) except *:
    """Keys: "http.request-body-limit", "http.response-body-limit", "ssh.hassh", "tls.ja3", "tls.ja4",
    "tls.log-ja4", "tls.encryption-handling" ("default", "bypass", "full"), "files.hashes" (FILE_* bits)."""
    if "http.request-body-limit" in settings:
        config.http1.body_limit[TO_SERVER] = settings["http.request-body-limit"]
    if "http.response-body-limit" in settings:
        config.http1.body_limit[TO_CLIENT] = settings["http.response-body-limit"]
    if "tls.ja3" in settings:
        config.tls.ja3 = settings["tls.ja3"]
    if "tls.ja4" in settings:
        config.tls.ja4 = settings["tls.ja4"]
    if "tls.log-ja4" in settings:
        config.tls.log_ja4 = settings["tls.log-ja4"]
    if "tls.encryption-handling" in settings:
        config.tls.encryption_handling = ("default", "bypass", "full").index(settings["tls.encryption-handling"])
    if "ssh.hassh" in settings:
        config.ssh.hassh = settings["ssh.hassh"]
    if "files.hashes" in settings:
        config.files.hashes = settings["files.hashes"]
