/* Every event: its number's name and its text, in Suricata's words where Suricata has the event. */
#ifndef FASTPATH_EVENTS_H
#define FASTPATH_EVENTS_H

#define FASTPATH_EVENTS(X) \
    X(EVENT_IPV4_PKT_TOO_SMALL, "decoder.ipv4.pkt_too_small")

#define FASTPATH_EVENT_ENUM(name, text) name,
enum event { FASTPATH_EVENTS(FASTPATH_EVENT_ENUM) EVENT_MAX };

#endif
