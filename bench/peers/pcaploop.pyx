"""libpcap's bare read loop: every packet is fetched and nothing is done with it."""
from libc.stdint cimport uint64_t

cdef extern from "pcap/pcap.h" nogil:
    ctypedef struct pcap_t:
        pass
    struct pcap_pkthdr:
        unsigned int caplen, len
    pcap_t *pcap_open_offline(const char *name, char *error)
    int pcap_next_ex(pcap_t *p, pcap_pkthdr **header, const unsigned char **data)
    int pcap_dispatch(pcap_t *p, int count, void (*handler)(unsigned char *, const pcap_pkthdr *, const unsigned char *) noexcept nogil,
                      unsigned char *user)
    void pcap_close(pcap_t *p)
    const char *pcap_lib_version()


cdef void ignore(unsigned char *user, const pcap_pkthdr *header, const unsigned char *data) noexcept nogil:
    (<uint64_t *>user)[0] += 1


def version():
    return pcap_lib_version().decode()


def run(path, bint dispatch=False):
    """Packets in the capture, read by pcap_next_ex, or by pcap_dispatch with an empty handler."""
    cdef char error[256]
    cdef bytes name = path.encode()
    cdef const char *c_name = name
    cdef pcap_t *pcap
    cdef pcap_pkthdr *header
    cdef const unsigned char *data
    cdef uint64_t packets = 0
    cdef int status
    with nogil:
        pcap = pcap_open_offline(c_name, error)
    if pcap == NULL:
        raise OSError((<bytes>error).decode())
    with nogil:
        if dispatch:
            status = pcap_dispatch(pcap, -1, ignore, <unsigned char *>&packets)
        else:
            while True:
                status = pcap_next_ex(pcap, &header, &data)
                if status != 1:
                    break
                packets += 1
        pcap_close(pcap)
    if status == -1:
        raise OSError(f"{path}: libpcap stopped after {packets} packets")
    return packets
