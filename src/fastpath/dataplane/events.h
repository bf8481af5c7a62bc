/* Every event: its number's name and its text. Where Suricata 7 or 8 has the event, the text is the one its rules write
 * (https://docs.suricata.io/en/suricata-7.0.10/rules/decode-layer.html and stream-events.rules); the last group is fastpath's own. */
#ifndef FASTPATH_EVENTS_H
#define FASTPATH_EVENTS_H

#include <stdint.h>

/* of the decoders and defrag */
#define FASTPATH_DECODER_EVENTS(X) \
    X(EVENT_ETHERNET_PKT_TOO_SMALL, "decoder.ethernet.pkt_too_small") \
    X(EVENT_ETHERNET_UNKNOWN_ETHERTYPE, "decoder.ethernet.unknown_ethertype") \
    X(EVENT_VLAN_HEADER_TOO_SMALL, "decoder.vlan.header_too_small") \
    X(EVENT_VLAN_UNKNOWN_TYPE, "decoder.vlan.unknown_type") \
    X(EVENT_VLAN_TOO_MANY_LAYERS, "decoder.vlan.too_many_layers") \
    X(EVENT_IEEE8021AH_HEADER_TOO_SMALL, "decoder.ieee8021ah.header_too_small") \
    X(EVENT_VNTAG_HEADER_TOO_SMALL, "decoder.vntag.header_too_small") \
    X(EVENT_VNTAG_UNKNOWN_TYPE, "decoder.vntag.unknown_type") \
    X(EVENT_ETAG_HEADER_TOO_SMALL, "decoder.etag.header_too_small") \
    X(EVENT_ETAG_UNKNOWN_TYPE, "decoder.etag.unknown_type") \
    X(EVENT_DCE_PKT_TOO_SMALL, "decoder.dce.pkt_too_small") \
    X(EVENT_NSH_HEADER_TOO_SMALL, "decoder.nsh.header_too_small") \
    X(EVENT_NSH_UNSUPPORTED_VERSION, "decoder.nsh.unsupported_version") \
    X(EVENT_NSH_BAD_HEADER_LENGTH, "decoder.nsh.bad_header_length") \
    X(EVENT_NSH_RESERVED_TYPE, "decoder.nsh.reserved_type") \
    X(EVENT_NSH_UNSUPPORTED_TYPE, "decoder.nsh.unsupported_type") \
    X(EVENT_NSH_UNKNOWN_PAYLOAD, "decoder.nsh.unknown_payload") \
    X(EVENT_MPLS_HEADER_TOO_SMALL, "decoder.mpls.header_too_small") \
    X(EVENT_MPLS_PKT_TOO_SMALL, "decoder.mpls.pkt_too_small") \
    X(EVENT_MPLS_BAD_LABEL_ROUTER_ALERT, "decoder.mpls.bad_label_router_alert") \
    X(EVENT_MPLS_BAD_LABEL_IMPLICIT_NULL, "decoder.mpls.bad_label_implicit_null") \
    X(EVENT_MPLS_BAD_LABEL_RESERVED, "decoder.mpls.bad_label_reserved") \
    X(EVENT_MPLS_UNKNOWN_PAYLOAD_TYPE, "decoder.mpls.unknown_payload_type") \
    X(EVENT_SLL_PKT_TOO_SMALL, "decoder.sll.pkt_too_small") \
    X(EVENT_LTNULL_PKT_TOO_SMALL, "decoder.ltnull.pkt_too_small") \
    X(EVENT_LTNULL_UNSUPPORTED_TYPE, "decoder.ltnull.unsupported_type") \
    X(EVENT_IPRAW_INVALID_IP_VERSION, "decoder.ipraw.invalid_ip_version") \
    X(EVENT_CHDLC_PKT_TOO_SMALL, "decoder.chdlc.pkt_too_small") \
    X(EVENT_PPP_PKT_TOO_SMALL, "decoder.ppp.pkt_too_small") \
    X(EVENT_PPP_VJU_PKT_TOO_SMALL, "decoder.ppp.vju_pkt_too_small") \
    X(EVENT_PPP_IP4_PKT_TOO_SMALL, "decoder.ppp.ip4_pkt_too_small") \
    X(EVENT_PPP_IP6_PKT_TOO_SMALL, "decoder.ppp.ip6_pkt_too_small") \
    X(EVENT_PPP_WRONG_TYPE, "decoder.ppp.wrong_type") \
    X(EVENT_PPP_UNSUP_PROTO, "decoder.ppp.unsup_proto") \
    X(EVENT_PPPOE_PKT_TOO_SMALL, "decoder.pppoe.pkt_too_small") \
    X(EVENT_PPPOE_WRONG_CODE, "decoder.pppoe.wrong_code") \
    X(EVENT_PPPOE_MALFORMED_TAGS, "decoder.pppoe.malformed_tags") \
    X(EVENT_IPV4_PKT_TOO_SMALL, "decoder.ipv4.pkt_too_small") \
    X(EVENT_IPV4_HLEN_TOO_SMALL, "decoder.ipv4.hlen_too_small") \
    X(EVENT_IPV4_IPLEN_SMALLER_THAN_HLEN, "decoder.ipv4.iplen_smaller_than_hlen") \
    X(EVENT_IPV4_TRUNC_PKT, "decoder.ipv4.trunc_pkt") \
    X(EVENT_IPV4_OPT_INVALID, "decoder.ipv4.opt_invalid") \
    X(EVENT_IPV4_OPT_INVALID_LEN, "decoder.ipv4.opt_invalid_len") \
    X(EVENT_IPV4_OPT_MALFORMED, "decoder.ipv4.opt_malformed") \
    X(EVENT_IPV4_OPT_PAD_REQUIRED, "decoder.ipv4.opt_pad_required") \
    X(EVENT_IPV4_OPT_EOL_REQUIRED, "decoder.ipv4.opt_eol_required") \
    X(EVENT_IPV4_OPT_DUPLICATE, "decoder.ipv4.opt_duplicate") \
    X(EVENT_IPV4_OPT_UNKNOWN, "decoder.ipv4.opt_unknown") \
    X(EVENT_IPV4_WRONG_IP_VERSION, "decoder.ipv4.wrong_ip_version") \
    X(EVENT_IPV4_ICMPV6, "decoder.ipv4.icmpv6") \
    X(EVENT_IPV4_UNKNOWN_PROTOCOL, "decoder.ipv4.unknown_protocol") \
    X(EVENT_IPV4_FRAG_PKT_TOO_LARGE, "decoder.ipv4.frag_pkt_too_large") \
    X(EVENT_IPV4_FRAG_OVERLAP, "decoder.ipv4.frag_overlap") \
    X(EVENT_IPV4_FRAG_IGNORED, "decoder.ipv4.frag_ignored") \
    X(EVENT_IPV6_PKT_TOO_SMALL, "decoder.ipv6.pkt_too_small") \
    X(EVENT_IPV6_TRUNC_PKT, "decoder.ipv6.trunc_pkt") \
    X(EVENT_IPV6_TRUNC_EXTHDR, "decoder.ipv6.trunc_exthdr") \
    X(EVENT_IPV6_EXTHDR_DUPL_FH, "decoder.ipv6.exthdr_dupl_fh") \
    X(EVENT_IPV6_EXTHDR_USELESS_FH, "decoder.ipv6.exthdr_useless_fh") \
    X(EVENT_IPV6_EXTHDR_DUPL_RH, "decoder.ipv6.exthdr_dupl_rh") \
    X(EVENT_IPV6_EXTHDR_DUPL_HH, "decoder.ipv6.exthdr_dupl_hh") \
    X(EVENT_IPV6_EXTHDR_DUPL_DH, "decoder.ipv6.exthdr_dupl_dh") \
    X(EVENT_IPV6_EXTHDR_DUPL_AH, "decoder.ipv6.exthdr_dupl_ah") \
    X(EVENT_IPV6_EXTHDR_DUPL_EH, "decoder.ipv6.exthdr_dupl_eh") \
    X(EVENT_IPV6_EXTHDR_INVALID_OPTLEN, "decoder.ipv6.exthdr_invalid_optlen") \
    X(EVENT_IPV6_WRONG_IP_VERSION, "decoder.ipv6.wrong_ip_version") \
    X(EVENT_IPV6_EXTHDR_AH_RES_NOT_NULL, "decoder.ipv6.exthdr_ah_res_not_null") \
    X(EVENT_IPV6_HOPOPTS_UNKNOWN_OPT, "decoder.ipv6.hopopts_unknown_opt") \
    X(EVENT_IPV6_HOPOPTS_ONLY_PADDING, "decoder.ipv6.hopopts_only_padding") \
    X(EVENT_IPV6_DSTOPTS_UNKNOWN_OPT, "decoder.ipv6.dstopts_unknown_opt") \
    X(EVENT_IPV6_DSTOPTS_ONLY_PADDING, "decoder.ipv6.dstopts_only_padding") \
    X(EVENT_IPV6_RH_TYPE_0, "decoder.ipv6.rh_type_0") \
    X(EVENT_IPV6_ZERO_LEN_PADN, "decoder.ipv6.zero_len_padn") \
    X(EVENT_IPV6_FH_NON_ZERO_RESERVED_FIELD, "decoder.ipv6.fh_non_zero_reserved_field") \
    X(EVENT_IPV6_DATA_AFTER_NONE_HEADER, "decoder.ipv6.data_after_none_header") \
    X(EVENT_IPV6_UNKNOWN_NEXT_HEADER, "decoder.ipv6.unknown_next_header") \
    X(EVENT_IPV6_ICMPV4, "decoder.ipv6.icmpv4") \
    X(EVENT_IPV6_FRAG_PKT_TOO_LARGE, "decoder.ipv6.frag_pkt_too_large") \
    X(EVENT_IPV6_FRAG_OVERLAP, "decoder.ipv6.frag_overlap") \
    X(EVENT_IPV6_FRAG_INVALID_LENGTH, "decoder.ipv6.frag_invalid_length") \
    X(EVENT_IPV6_FRAG_IGNORED, "decoder.ipv6.frag_ignored") \
    X(EVENT_IPV6_IPV4_IN_IPV6_TOO_SMALL, "decoder.ipv6.ipv4_in_ipv6_too_small") \
    X(EVENT_IPV6_IPV4_IN_IPV6_WRONG_VERSION, "decoder.ipv6.ipv4_in_ipv6_wrong_version") \
    X(EVENT_IPV6_IPV6_IN_IPV6_TOO_SMALL, "decoder.ipv6.ipv6_in_ipv6_too_small") \
    X(EVENT_IPV6_IPV6_IN_IPV6_WRONG_VERSION, "decoder.ipv6.ipv6_in_ipv6_wrong_version") \
    X(EVENT_ICMPV4_PKT_TOO_SMALL, "decoder.icmpv4.pkt_too_small") \
    X(EVENT_ICMPV4_UNKNOWN_TYPE, "decoder.icmpv4.unknown_type") \
    X(EVENT_ICMPV4_UNKNOWN_CODE, "decoder.icmpv4.unknown_code") \
    X(EVENT_ICMPV4_IPV4_TRUNC_PKT, "decoder.icmpv4.ipv4_trunc_pkt") \
    X(EVENT_ICMPV4_IPV4_UNKNOWN_VER, "decoder.icmpv4.ipv4_unknown_ver") \
    X(EVENT_ICMPV6_PKT_TOO_SMALL, "decoder.icmpv6.pkt_too_small") \
    X(EVENT_ICMPV6_UNKNOWN_TYPE, "decoder.icmpv6.unknown_type") \
    X(EVENT_ICMPV6_UNKNOWN_CODE, "decoder.icmpv6.unknown_code") \
    X(EVENT_ICMPV6_IPV6_UNKNOWN_VERSION, "decoder.icmpv6.ipv6_unknown_version") \
    X(EVENT_ICMPV6_IPV6_TRUNC_PKT, "decoder.icmpv6.ipv6_trunc_pkt") \
    X(EVENT_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL, "decoder.icmpv6.mld_message_with_invalid_hl") \
    X(EVENT_ICMPV6_UNASSIGNED_TYPE, "decoder.icmpv6.unassigned_type") \
    X(EVENT_ICMPV6_EXPERIMENTATION_TYPE, "decoder.icmpv6.experimentation_type") \
    X(EVENT_IGMP_PKT_TOO_SMALL, "decoder.igmp.pkt_too_small") \
    X(EVENT_IGMP_V3_PKT_TOO_SMALL, "decoder.igmp.v3_pkt_too_small") \
    X(EVENT_IGMP_MALFORMED, "decoder.igmp.malformed") \
    X(EVENT_TCP_PKT_TOO_SMALL, "decoder.tcp.pkt_too_small") \
    X(EVENT_TCP_HLEN_TOO_SMALL, "decoder.tcp.hlen_too_small") \
    X(EVENT_TCP_INVALID_OPTLEN, "decoder.tcp.invalid_optlen") \
    X(EVENT_TCP_OPT_INVALID_LEN, "decoder.tcp.opt_invalid_len") \
    X(EVENT_TCP_OPT_DUPLICATE, "decoder.tcp.opt_duplicate") \
    X(EVENT_UDP_PKT_TOO_SMALL, "decoder.udp.pkt_too_small") \
    X(EVENT_UDP_HLEN_TOO_SMALL, "decoder.udp.hlen_too_small") \
    X(EVENT_UDP_HLEN_INVALID, "decoder.udp.hlen_invalid") \
    X(EVENT_UDP_LEN_INVALID, "decoder.udp.len_invalid") \
    X(EVENT_SCTP_PKT_TOO_SMALL, "decoder.sctp.pkt_too_small") \
    X(EVENT_ESP_PKT_TOO_SMALL, "decoder.esp.pkt_too_small") \
    X(EVENT_GRE_PKT_TOO_SMALL, "decoder.gre.pkt_too_small") \
    X(EVENT_GRE_WRONG_VERSION, "decoder.gre.wrong_version") \
    X(EVENT_GRE_VERSION0_RECUR, "decoder.gre.version0_recur") \
    X(EVENT_GRE_VERSION0_FLAGS, "decoder.gre.version0_flags") \
    X(EVENT_GRE_VERSION0_HDR_TOO_BIG, "decoder.gre.version0_hdr_too_big") \
    X(EVENT_GRE_VERSION0_MALFORMED_SRE_HDR, "decoder.gre.version0_malformed_sre_hdr") \
    X(EVENT_GRE_VERSION1_CHKSUM, "decoder.gre.version1_chksum") \
    X(EVENT_GRE_VERSION1_ROUTE, "decoder.gre.version1_route") \
    X(EVENT_GRE_VERSION1_SSR, "decoder.gre.version1_ssr") \
    X(EVENT_GRE_VERSION1_RECUR, "decoder.gre.version1_recur") \
    X(EVENT_GRE_VERSION1_FLAGS, "decoder.gre.version1_flags") \
    X(EVENT_GRE_VERSION1_NO_KEY, "decoder.gre.version1_no_key") \
    X(EVENT_GRE_VERSION1_WRONG_PROTOCOL, "decoder.gre.version1_wrong_protocol") \
    X(EVENT_GRE_VERSION1_MALFORMED_SRE_HDR, "decoder.gre.version1_malformed_sre_hdr") \
    X(EVENT_GRE_VERSION1_HDR_TOO_BIG, "decoder.gre.version1_hdr_too_big") \
    X(EVENT_ERSPAN_HEADER_TOO_SMALL, "decoder.erspan.header_too_small") \
    X(EVENT_ERSPAN_UNSUPPORTED_VERSION, "decoder.erspan.unsupported_version") \
    X(EVENT_ERSPAN_TOO_MANY_VLAN_LAYERS, "decoder.erspan.too_many_vlan_layers") \
    X(EVENT_VXLAN_UNKNOWN_PAYLOAD_TYPE, "decoder.vxlan.unknown_payload_type") \
    X(EVENT_GENEVE_UNKNOWN_PAYLOAD_TYPE, "decoder.geneve.unknown_payload_type") \
    X(EVENT_TOO_MANY_LAYERS, "decoder.too_many_layers") \
    X(EVENT_AFPACKET_TRUNC_PKT, "decoder.afpacket.trunc_pkt")

/* of stream */
#define FASTPATH_STREAM_EVENTS(X) \
    X(EVENT_STREAM_3WHS_ACK_IN_WRONG_DIR, "stream.3whs_ack_in_wrong_dir") \
    X(EVENT_STREAM_3WHS_ASYNC_WRONG_SEQ, "stream.3whs_async_wrong_seq") \
    X(EVENT_STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION, "stream.3whs_right_seq_wrong_ack_evasion") \
    X(EVENT_STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION, "stream.3whs_synack_in_wrong_direction") \
    X(EVENT_STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_ACK, "stream.3whs_synack_resend_with_diff_ack") \
    X(EVENT_STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_SEQ, "stream.3whs_synack_resend_with_diff_seq") \
    X(EVENT_STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV, "stream.3whs_synack_toserver_on_syn_recv") \
    X(EVENT_STREAM_3WHS_SYNACK_WITH_WRONG_ACK, "stream.3whs_synack_with_wrong_ack") \
    X(EVENT_STREAM_3WHS_SYNACK_FLOOD, "stream.3whs_synack_flood") \
    X(EVENT_STREAM_3WHS_SYN_FLOOD, "stream.3whs_syn_flood") \
    X(EVENT_STREAM_3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV, "stream.3whs_syn_resend_diff_seq_on_syn_recv") \
    X(EVENT_STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV, "stream.3whs_syn_toclient_on_syn_recv") \
    X(EVENT_STREAM_3WHS_WRONG_SEQ_WRONG_ACK, "stream.3whs_wrong_seq_wrong_ack") \
    X(EVENT_STREAM_3WHS_ACK_DATA_INJECT, "stream.3whs_ack_data_inject") \
    X(EVENT_STREAM_3WHS_SYNACK_TFO_DATA_IGNORED, "stream.3whs_synack_tfo_data_ignored") \
    X(EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_ACK, "stream.4whs_synack_with_wrong_ack") \
    X(EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_SYN, "stream.4whs_synack_with_wrong_syn") \
    X(EVENT_STREAM_4WHS_WRONG_SEQ, "stream.4whs_wrong_seq") \
    X(EVENT_STREAM_4WHS_INVALID_ACK, "stream.4whs_invalid_ack") \
    X(EVENT_STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW, "stream.closewait_ack_out_of_window") \
    X(EVENT_STREAM_CLOSEWAIT_FIN_OUT_OF_WINDOW, "stream.closewait_fin_out_of_window") \
    X(EVENT_STREAM_CLOSEWAIT_PKT_BEFORE_LAST_ACK, "stream.closewait_pkt_before_last_ack") \
    X(EVENT_STREAM_CLOSEWAIT_INVALID_ACK, "stream.closewait_invalid_ack") \
    X(EVENT_STREAM_CLOSING_ACK_WRONG_SEQ, "stream.closing_ack_wrong_seq") \
    X(EVENT_STREAM_CLOSING_INVALID_ACK, "stream.closing_invalid_ack") \
    X(EVENT_STREAM_EST_PACKET_OUT_OF_WINDOW, "stream.est_packet_out_of_window") \
    X(EVENT_STREAM_EST_PKT_BEFORE_LAST_ACK, "stream.est_pkt_before_last_ack") \
    X(EVENT_STREAM_EST_SYNACK_RESEND, "stream.est_synack_resend") \
    X(EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_ACK, "stream.est_synack_resend_with_diff_ack") \
    X(EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ, "stream.est_synack_resend_with_diff_seq") \
    X(EVENT_STREAM_EST_SYNACK_TOSERVER, "stream.est_synack_toserver") \
    X(EVENT_STREAM_EST_SYN_RESEND, "stream.est_syn_resend") \
    X(EVENT_STREAM_EST_SYN_RESEND_DIFF_SEQ, "stream.est_syn_resend_diff_seq") \
    X(EVENT_STREAM_EST_SYN_TOCLIENT, "stream.est_syn_toclient") \
    X(EVENT_STREAM_EST_INVALID_ACK, "stream.est_invalid_ack") \
    X(EVENT_STREAM_EST_ACK_ZWP_DATA, "stream.est_ack_zwp_data") \
    X(EVENT_STREAM_FIN_INVALID_ACK, "stream.fin_invalid_ack") \
    X(EVENT_STREAM_FIN1_ACK_WRONG_SEQ, "stream.fin1_ack_wrong_seq") \
    X(EVENT_STREAM_FIN1_FIN_WRONG_SEQ, "stream.fin1_fin_wrong_seq") \
    X(EVENT_STREAM_FIN1_INVALID_ACK, "stream.fin1_invalid_ack") \
    X(EVENT_STREAM_FIN2_ACK_WRONG_SEQ, "stream.fin2_ack_wrong_seq") \
    X(EVENT_STREAM_FIN2_FIN_WRONG_SEQ, "stream.fin2_fin_wrong_seq") \
    X(EVENT_STREAM_FIN2_INVALID_ACK, "stream.fin2_invalid_ack") \
    X(EVENT_STREAM_FIN_BUT_NO_SESSION, "stream.fin_but_no_session") \
    X(EVENT_STREAM_FIN_OUT_OF_WINDOW, "stream.fin_out_of_window") \
    X(EVENT_STREAM_FIN_SYN, "stream.fin_syn") \
    X(EVENT_STREAM_LASTACK_ACK_WRONG_SEQ, "stream.lastack_ack_wrong_seq") \
    X(EVENT_STREAM_LASTACK_INVALID_ACK, "stream.lastack_invalid_ack") \
    X(EVENT_STREAM_RST_BUT_NO_SESSION, "stream.rst_but_no_session") \
    X(EVENT_STREAM_TIMEWAIT_ACK_WRONG_SEQ, "stream.timewait_ack_wrong_seq") \
    X(EVENT_STREAM_TIMEWAIT_INVALID_ACK, "stream.timewait_invalid_ack") \
    X(EVENT_STREAM_SHUTDOWN_SYN_RESEND, "stream.shutdown_syn_resend") \
    X(EVENT_STREAM_PKT_INVALID_TIMESTAMP, "stream.pkt_invalid_timestamp") \
    X(EVENT_STREAM_PKT_INVALID_ACK, "stream.pkt_invalid_ack") \
    X(EVENT_STREAM_PKT_BROKEN_ACK, "stream.pkt_broken_ack") \
    X(EVENT_STREAM_RST_INVALID_ACK, "stream.rst_invalid_ack") \
    X(EVENT_STREAM_RST_WITH_DATA, "stream.rst_with_data") \
    X(EVENT_STREAM_PKT_RETRANSMISSION, "stream.pkt_retransmission") \
    X(EVENT_STREAM_PKT_SPURIOUS_RETRANSMISSION, "stream.pkt_spurious_retransmission") \
    X(EVENT_STREAM_PKT_BAD_WINDOW_UPDATE, "stream.pkt_bad_window_update") \
    X(EVENT_STREAM_SUSPECTED_RST_INJECT, "stream.suspected_rst_inject") \
    X(EVENT_STREAM_WRONG_THREAD, "stream.wrong_thread") \
    X(EVENT_STREAM_REASSEMBLY_SEGMENT_BEFORE_BASE_SEQ, "stream.reassembly_segment_before_base_seq") \
    X(EVENT_STREAM_REASSEMBLY_NO_SEGMENT, "stream.reassembly_no_segment") \
    X(EVENT_STREAM_REASSEMBLY_SEQ_GAP, "stream.reassembly_seq_gap") \
    X(EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA, "stream.reassembly_overlap_different_data") \
    X(EVENT_STREAM_REASSEMBLY_DEPTH_REACHED, "stream.reassembly_depth_reached") \
    X(EVENT_STREAM_REASSEMBLY_INSERT_MEMCAP, "stream.reassembly_insert_memcap") \
    X(EVENT_STREAM_REASSEMBLY_INSERT_LIMIT, "stream.reassembly_insert_limit") \
    X(EVENT_STREAM_REASSEMBLY_INSERT_INVALID, "stream.reassembly_insert_invalid") \
    X(EVENT_STREAM_REASSEMBLY_URGENT_OOB_LIMIT_REACHED, "stream.reassembly_urgent_oob_limit_reached")

/* what Suricata has no event for */
#define FASTPATH_OWN_EVENTS(X) \
    X(EVENT_CAPTURE_HEADER_CUT, "decoder.capture.header_cut") \
    X(EVENT_CAPTURE_LINKTYPE_UNSUPPORTED, "decoder.capture.linktype_unsupported") \
    X(EVENT_SLL2_PKT_TOO_SMALL, "decoder.sll2.pkt_too_small") \
    X(EVENT_ARP_PKT_TOO_SMALL, "decoder.arp.pkt_too_small") \
    X(EVENT_ARP_BAD_LENGTH, "decoder.arp.bad_length") \
    X(EVENT_AH_PKT_TOO_SMALL, "decoder.ah.pkt_too_small") \
    X(EVENT_AH_BAD_LENGTH, "decoder.ah.bad_length") \
    X(EVENT_VXLAN_HEADER_TOO_SMALL, "decoder.vxlan.header_too_small") \
    X(EVENT_VXLAN_BAD_FLAGS, "decoder.vxlan.bad_flags") \
    X(EVENT_GENEVE_HEADER_TOO_SMALL, "decoder.geneve.header_too_small") \
    X(EVENT_GENEVE_UNSUPPORTED_VERSION, "decoder.geneve.unsupported_version") \
    X(EVENT_GTPU_HEADER_TOO_SMALL, "decoder.gtpu.header_too_small") \
    X(EVENT_GTPU_UNSUPPORTED_VERSION, "decoder.gtpu.unsupported_version") \
    X(EVENT_GTPU_BAD_EXTENSION, "decoder.gtpu.bad_extension") \
    X(EVENT_GTPU_UNKNOWN_PAYLOAD, "decoder.gtpu.unknown_payload") \
    X(EVENT_ROCE_HEADER_TOO_SMALL, "decoder.roce.header_too_small") \
    X(EVENT_ROCE_ANOTHER_SEGMENT, "decoder.roce.another_segment") \
    X(EVENT_GTPU_FOREIGN_ADDRESS, "decoder.gtpu.foreign_address") \
    X(EVENT_GTPC_MALFORMED, "decoder.gtpc.malformed") \
    X(EVENT_PFCP_MALFORMED, "decoder.pfcp.malformed") \
    X(EVENT_HARDWARE_ADDRESS_MOVED, "decoder.hardware.address_moved") \
    X(EVENT_HARDWARE_NEIGHBOUR_CHANGED, "decoder.hardware.neighbour_changed") \
    X(EVENT_HARDWARE_DHCP_CHANGED, "decoder.hardware.dhcp_changed")

#define FASTPATH_EVENTS(X) FASTPATH_DECODER_EVENTS(X) FASTPATH_STREAM_EVENTS(X) FASTPATH_OWN_EVENTS(X)

#define FASTPATH_EVENT_ENUM(name, text) name,
enum event { FASTPATH_EVENTS(FASTPATH_EVENT_ENUM) EVENT_MAX };

/* The text of an event's number; the caller keeps code below EVENT_MAX. */
static inline const char *event_text(uint16_t code)
{
#define FASTPATH_EVENT_TEXT(name, text) text,
    static const char *const texts[EVENT_MAX] = { FASTPATH_EVENTS(FASTPATH_EVENT_TEXT) };
#undef FASTPATH_EVENT_TEXT
    return texts[code];
}

#endif
