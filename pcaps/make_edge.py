#!/usr/bin/env python3
"""Makes the captures of the cluster's fabric, the 5G edge and the facility that no program at hand would send, into pcaps/edge/.

    pcaps/make_edge.py [FOLDER]

Written with scapy, the same bytes every time.
"""
import sys
from pathlib import Path

from make import framed, talk, write
from scapy.contrib import gtp_v2 as gtpc
from scapy.contrib import pfcp
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.lldp import LLDPDU, LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID, LLDPDUSystemName, LLDPDUTimeToLive
from scapy.contrib.roce import BTH
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

FOLDER = Path(__file__).resolve().parent / "edge"
GPUS = ("10.30.0.11", "10.30.0.12")
SEND, WRITE, READ, ACK, CNP = 0x04, 0x0a, 0x0c, 0x11, 0x81


def frame(*tags):
    made = Ether(src="02:00:00:00:00:11", dst="02:00:00:00:00:12")
    for tag in tags:
        made /= Dot1Q(vlan=tag)
    return made


def rdma(pair, opcode, size, tags=(), ends=GPUS, ident=1):
    body = Raw(b"\0" * size)
    return frame(*tags) / IP(src=ends[0], dst=ends[1], id=ident) / UDP(sport=49152 + pair % 1000, dport=4791, chksum=0) \
        / BTH(opcode=opcode, dqpn=pair, pkey=0xffff, psn=ident) / body


def roce():
    """Queue pairs of two tenants, apart by VLAN (100, 200) and by VNI (5001); the last of each is in the other's segment."""
    for ident in range(1, 7):
        yield rdma(0x11, WRITE, 256, (100,), ident=ident)
        yield rdma(0x12, ACK, 4, (100,), GPUS[::-1], ident)
        yield rdma(0x21, SEND, 128, (200,), ("10.31.0.11", "10.31.0.12"), ident)
    yield rdma(0x12, CNP, 16, (100,), GPUS[::-1], 7)
    yield rdma(0x11, READ, 16, (100,), ident=8)
    inner = rdma(0x31, WRITE, 64, (), ("10.32.0.11", "10.32.0.12"), 9)
    underlay = frame() / IP(src="172.16.0.1", dst="172.16.0.2", id=9) / UDP(sport=50000, dport=4789, chksum=0)
    yield underlay / VXLAN(vni=5001, flags="Instance") / inner
    yield rdma(0x11, WRITE, 256, (200,), ident=10)              # a pair of VLAN 100 in VLAN 200
    yield underlay / VXLAN(vni=5002, flags="Instance") / inner  # a pair of VNI 5001 in VNI 5002


def sent(source, target, port, payload, ident):
    return Ether(src="02:00:00:00:00:21", dst="02:00:00:00:00:22") / IP(src=source, dst=target, id=ident) / UDP(sport=port, dport=port, chksum=0) / payload


def user(outer, teid, inner, ident, qfi=None):
    """A user's packet in its tunnel."""
    if qfi is None:
        return sent(*outer, 2152, GTP_U_Header(teid=teid, gtp_type=255) / inner, ident)
    return sent(*outer, 2152, GTP_U_Header(teid=teid, gtp_type=255, E=1, next_ex=0x85) / GTPPDUSessionContainer(type=1, QFI=qfi, ExtHdrLen=1)
                / inner, ident)


def datagram(source, target, sport=40000, dport=5000):
    return IP(src=source, dst=target, id=1) / UDP(sport=sport, dport=dport, chksum=0) / Raw(b"measured: 7")


def fteid(kind, teid, address, instance=0):
    return gtpc.IE_FTEID(instance=instance, ipv4_present=1, ipv6_present=0, InterfaceType=kind, GRE_Key=teid, ipv4=address, length=9)


def gtp():
    """4G: a session is made on S11 and changed, its user sends; then sends with an address that is not its own; the session ends."""
    mme, sgw, cell, gateway = "10.101.0.2", "10.101.0.3", "10.102.0.2", "10.102.0.3"

    def message(kind, teid, seq, body):
        return gtpc.GTPHeader(version=2, P=0, T=1, gtp_type=kind, teid=teid, seq=seq) / body

    yield sent(mme, sgw, 2123, message(32, 0, 0x0101, gtpc.GTPV2CreateSessionRequest(IE_list=[
        gtpc.IE_IMSI(IMSI="001019876543210"), gtpc.IE_MSISDN(digits="4915112345678"), gtpc.IE_MEI(MEI="3567210812345670"),
        fteid(10, 0x1001, mme), gtpc.IE_APN(APN=b"factory.iot")])), 1)
    bearer = gtpc.IE_BearerContext(IE_list=[gtpc.IE_EPSBearerID(EBI=5), gtpc.IE_Cause(Cause=16), fteid(1, 0x2002, gateway)])
    yield sent(sgw, mme, 2123, message(33, 0x1001, 0x0101, gtpc.GTPV2CreateSessionResponse(IE_list=[
        gtpc.IE_Cause(Cause=16), fteid(11, 0x2001, sgw), gtpc.IE_PAA(PDN_type=1, ipv4="10.45.0.7"), bearer])), 2)
    bearer = gtpc.IE_BearerContext(IE_list=[gtpc.IE_EPSBearerID(EBI=5), fteid(0, 0x3003, cell)])
    yield sent(mme, sgw, 2123, message(34, 0x2001, 0x0102, gtpc.GTPV2ModifyBearerRequest(IE_list=[bearer])), 3)
    yield sent(sgw, mme, 2123, message(35, 0x1001, 0x0102, gtpc.GTPV2ModifyBearerResponse(IE_list=[gtpc.IE_Cause(Cause=16)])), 4)
    yield user((cell, gateway), 0x2002, datagram("10.45.0.7", "10.60.0.1"), 5)
    yield user((gateway, cell), 0x3003, datagram("10.60.0.1", "10.45.0.7", 5000, 40000), 6)
    yield user((cell, gateway), 0x2002, datagram("10.45.0.99", "10.60.0.1"), 7)             # foreign: another's source
    yield user((gateway, cell), 0x3003, datagram("10.60.0.1", "10.45.0.98", 5000, 40000), 8)    # foreign: for another
    yield sent(mme, sgw, 2123, message(36, 0x2001, 0x0103, gtpc.GTPV2DeleteSessionRequest(IE_list=[gtpc.IE_EPSBearerID(EBI=5)])), 9)
    yield sent(sgw, mme, 2123, message(37, 0x1001, 0x0103, gtpc.GTPV2DeleteSessionResponse(IE_list=[gtpc.IE_Cause(Cause=16)])), 10)
    yield user((cell, gateway), 0x2002, datagram("10.45.0.99", "10.60.0.1"), 11)            # of nobody: not judged


def n4():
    """5G: a session is made over N4, the user plane choosing its endpoint; its user sends with a QFI; then with a foreign address."""
    smf, upf, cell, access = "10.111.0.2", "10.111.0.3", "10.112.0.2", "10.112.0.3"
    slice_id = Raw(bytes.fromhex("0101" "0004" "02abcdef"))         # S-NSSAI: SST 2, SD abcdef

    def message(kind, seid, seq, body):
        return pfcp.PFCP(version=1, S=1, message_type=kind, seid=seid, seq=seq) / body

    uplink = pfcp.IE_CreatePDR(IE_list=[pfcp.IE_PDR_Id(id=1), pfcp.IE_Precedence(precedence=200), pfcp.IE_PDI(IE_list=[
        pfcp.IE_SourceInterface(interface="Access"), pfcp.IE_FTEID(V4=1, CH=1), pfcp.IE_NetworkInstance(instance="internet"),
        pfcp.IE_UE_IP_Address(V4=1, ipv4="10.46.0.7")])])
    downlink = pfcp.IE_CreatePDR(IE_list=[pfcp.IE_PDR_Id(id=2), pfcp.IE_PDI(IE_list=[
        pfcp.IE_SourceInterface(interface="Core"), pfcp.IE_UE_IP_Address(SD=1, V4=1, ipv4="10.46.0.7")])])
    person = pfcp.IE_UserId(IMSIF=1, IMEIF=1, imsi_length=8, imsi=digits("001010123456789"), imei_length=8, imei=digits("8642230400112230"))
    request = pfcp.PFCPSessionEstablishmentRequest(IE_list=[
        pfcp.IE_NodeId(id_type=0, ipv4=smf), pfcp.IE_FSEID(v4=1, seid=0xa1, ipv4=smf), uplink, downlink, person])
    yield sent(smf, upf, 8805, Raw(grown(message(50, 0, 1, request), bytes(slice_id))), 1)
    created = pfcp.IE_CreatedPDR(IE_list=[pfcp.IE_PDR_Id(id=1), pfcp.IE_FTEID(V4=1, TEID=0x5001, ipv4=access)])
    yield sent(upf, smf, 8805, message(51, 0xa1, 1, pfcp.PFCPSessionEstablishmentResponse(IE_list=[
        pfcp.IE_NodeId(id_type=0, ipv4=upf), pfcp.IE_Cause(cause=1), pfcp.IE_FSEID(v4=1, seid=0xb1, ipv4=upf), created])), 2)
    forward = pfcp.IE_UpdateFAR(IE_list=[pfcp.IE_FAR_Id(id=2), pfcp.IE_UpdateForwardingParameters(IE_list=[
        pfcp.IE_OuterHeaderCreation(GTPUUDPIPV4=1, TEID=0x6001, ipv4=cell)])])
    yield sent(smf, upf, 8805, message(52, 0xb1, 2, pfcp.PFCPSessionModificationRequest(IE_list=[forward])), 3)
    yield sent(upf, smf, 8805, message(53, 0xa1, 2, pfcp.PFCPSessionModificationResponse(IE_list=[pfcp.IE_Cause(cause=1)])), 4)
    yield user((cell, access), 0x5001, datagram("10.46.0.7", "10.60.0.1"), 5, qfi=9)
    yield user((access, cell), 0x6001, datagram("10.60.0.1", "10.46.0.7", 5000, 40000), 6, qfi=9)
    yield user((cell, access), 0x5001, datagram("10.46.0.66", "10.60.0.1"), 7, qfi=9)        # foreign
    yield sent(smf, upf, 8805, message(54, 0xb1, 3, pfcp.PFCPSessionDeletionRequest()), 8)
    yield sent(upf, smf, 8805, message(55, 0xa1, 3, pfcp.PFCPSessionDeletionResponse(IE_list=[pfcp.IE_Cause(cause=1)])), 9)


def digits(number):
    """Two a byte, the lower half first."""
    number += "f" * (len(number) % 2)
    return bytes(int(number[at + 1] + number[at], 16) for at in range(0, len(number), 2))


def grown(message, element):
    """The bytes of a PFCP message with one more element, which scapy has no class for."""
    made = bytes(message) + element
    return made[:2] + (len(made) - 4).to_bytes(2, "big") + made[4:]


def hardware():
    """ARP, LLDP and DHCP of hardware; then an address with another MAC, a neighbour and a DHCP client that are others."""
    bmc, other, server = "3c:ec:ef:00:00:07", "3c:ec:ef:00:00:66", "3c:ec:ef:00:00:01"

    def arp(mac):
        return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc="10.9.0.7", pdst="10.9.0.1")

    def lldp(port, system, mac="50:6b:4b:00:00:01"):
        return Ether(src=mac, dst="01:80:c2:00:00:0e", type=0x88cc) / LLDPDU() / LLDPDUChassisID(subtype=4, id="50:6b:4b:00:00:00") \
            / LLDPDUPortID(subtype=5, id=port) / LLDPDUTimeToLive(ttl=120) / LLDPDUSystemName(system_name=system) / LLDPDUEndOfLLDPDU()

    def dhcp(options, vendor):
        return Ether(src=bmc, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255", id=1) / UDP(sport=68, dport=67, chksum=0) \
            / BOOTP(chaddr=bytes.fromhex(bmc.replace(":", "")), xid=7) / DHCP(options=[
                ("message-type", "discover"), ("param_req_list", options), ("vendor_class_id", vendor), "end"])

    def speaks(mac):
        return Ether(src=mac, dst=server) / IP(src="10.9.0.7", dst="10.9.0.1", id=2) / UDP(sport=40000, dport=514, chksum=0) / Raw(b"up")

    for _ in range(2):
        yield arp(bmc)
        yield lldp("swp7", b"leaf-1")
        yield dhcp([1, 3, 6, 15], b"OpenBMC")
        yield speaks(bmc)
    yield arp(other)
    yield lldp("swp8", b"leaf-1")
    yield dhcp([1, 3, 6, 15, 66], b"OpenBMC")
    yield speaks(other)
    yield lldp("swp1", b"leaf-9", "50:6b:4b:00:00:99")


def redfish():
    """A BMC: a login, its sensors; then firmware pushed by address, a reset, a new account."""
    def asks(method, path, body=b"{}"):
        return b"%s %s HTTP/1.1\r\nHost: bmc-7\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (method, path, len(body), body)

    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    reading = [(b"GET", b"/redfish/v1/"), (b"GET", b"/redfish/v1/Chassis/1/Thermal")]
    writing = [(b"POST", b"/redfish/v1/SessionService/Sessions"), (b"POST", b"/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"),
               (b"POST", b"/redfish/v1/UpdateService/update-multipart"), (b"POST", b"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"),
               (b"POST", b"/redfish/v1/AccountService/Accounts"),
               (b"POST", b"/redfish/v1/Managers/1/VirtualMedia/2/Actions/VirtualMedia.InsertMedia")]
    for sport, asked in ((42000, reading), (42001, writing)):
        yield from framed(talk("10.9.0.2", "10.9.0.7", sport, 80, *(one for method, path in asked for one in ((True, asks(method, path)), (False, answer)))))


CAPTURES = {"roce": roce, "gtp": gtp, "n4": n4, "hardware": hardware, "redfish": redfish}


def main(folder):
    folder.mkdir(exist_ok=True)
    for name, make in CAPTURES.items():
        write(folder / f"{name}.pcap", make())
        print(f"{name}.pcap: {(folder / f'{name}.pcap').stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
