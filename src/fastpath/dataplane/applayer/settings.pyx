# See settings.pxd.
from fastpath.dataplane.applayer.applayer cimport app_config_t


cdef void default_settings(app_config_t *config) noexcept nogil:
    """Suricata 7.0.10's stock values."""
    config.http1.request_body_limit = config.http1.response_body_limit = 100 << 10
    config.tls.ja3 = config.tls.ja4 = config.ssh.hassh = 1
    config.smtp.content_limit = 100000
    config.smtp.content_inspect_min_size = 32768
    config.smtp.content_inspect_window = 4096
    config.ftp.max_txs = 1024
    config.ftp.max_line = 4096
    config.smb.max_tx = config.dcerpc.max_tx = 1024
    config.dcerpc.max_stub = 1 << 20


cdef void read_settings(app_config_t *config, settings) except *:
    """Keys: "http.request-body-limit", "http.response-body-limit", "ssh.hassh", "tls.ja3", "files.hashes" (FILE_* bits)."""
    if "http.request-body-limit" in settings:
        config.http1.request_body_limit = settings["http.request-body-limit"]
    if "http.response-body-limit" in settings:
        config.http1.response_body_limit = settings["http.response-body-limit"]
    if "tls.ja3" in settings:
        config.tls.ja3 = config.tls.ja4 = settings["tls.ja3"]
    if "ssh.hassh" in settings:
        config.ssh.hassh = settings["ssh.hassh"]
    if "files.hashes" in settings:
        config.files.hashes = settings["files.hashes"]
