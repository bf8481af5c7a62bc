#!/usr/bin/env python3
"""Records what devices and plants speak, between real programs over a veth pair, into pcaps/edge/.

    sudo pcaps/record_edge.py [mqtt coap modbus bacnet opcua s7 snmp ipmi]

As record.py does it, which this builds upon. Needs root, and the programs: mosquitto and its clients, snmpd and the tools of net-snmp,
ipmi_sim and ipmitool; from PyPI aiocoap, pymodbus, bacpypes3, asyncua, python-snap7.
"""
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import record
from record import CLIENT, CLIENT_IP, SERVER, SERVER_IP, background, inside, listening, namespaces

FOLDER = Path(__file__).resolve().parent / "edge"
CONNECT_MODBUS = f"from pymodbus.client import ModbusTcpClient\nclient = ModbusTcpClient('{SERVER_IP}', port=502)\nclient.connect()\n"


def script(work, name, text):
    path = work / f"{name}.py"
    path.write_text(text)
    return sys.executable, path


def mqtt(work, stack):
    """mosquitto: a sensor that publishes, on the usual port and on another; a subscriber."""
    (work / "mosquitto.conf").write_text("allow_anonymous true\nlistener 1883 0.0.0.0\nlistener 18830 0.0.0.0\n")
    stack.enter_context(background(SERVER, "mosquitto", "-c", work / "mosquitto.conf", ready=listening(18830)))
    with record.recording("mqtt"):
        for port, version in ((1883, "mqttv311"), (18830, "mqttv5")):
            inside(CLIENT, "mosquitto_pub", "-h", SERVER_IP, "-p", port, "-V", version, "-i", "sensor-7", "-t", "hall/7/temperature",
                   "-m", "21.5", "-r", "-q", 1)
            inside(CLIENT, "mosquitto_sub", "-h", SERVER_IP, "-p", port, "-V", version, "-i", "panel", "-t", "hall/#", "-C", 1)


def coap(work, stack):
    """aiocoap: a resource that is read and written."""
    server = script(work, "server", f"""
import asyncio, aiocoap, aiocoap.resource as resource
class Lamp(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"off")
    async def render_put(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)
async def main():
    site = resource.Site()
    site.add_resource(["lamp"], Lamp())
    await aiocoap.Context.create_server_context(site, bind=("{SERVER_IP}", 5683))
    await asyncio.get_running_loop().create_future()
asyncio.run(main())
""")
    stack.enter_context(background(SERVER, *server, ready=listening(5683, "u")))
    client = script(work, "client", f"""
import asyncio, aiocoap
async def main():
    context = await aiocoap.Context.create_client_context()
    for code, payload in ((aiocoap.GET, b""), (aiocoap.PUT, b"on")):
        await context.request(aiocoap.Message(code=code, uri="coap://{SERVER_IP}/lamp", payload=payload)).response
    await context.shutdown()
asyncio.run(main())
""")
    with record.recording("coap"):
        inside(CLIENT, *client)


def modbus(work, stack):
    """pymodbus: a cooling unit that is read, and then written: coil, register, coils, registers, by mask."""
    server = script(work, "server", f"""
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer
block = lambda: ModbusSequentialDataBlock(1, [17] * 100)
StartTcpServer(ModbusServerContext(devices=ModbusDeviceContext(di=block(), co=block(), hr=block(), ir=block()), single=True),
               address=("{SERVER_IP}", 502))
""")
    stack.enter_context(background(SERVER, *server, ready=listening(502)))
    with record.recording("modbus-read"):
        inside(CLIENT, *script(work, "read", CONNECT_MODBUS + "client.read_holding_registers(1, count=4)\nclient.read_coils(1, count=8)\n"))
    with record.recording("modbus-write"):
        inside(CLIENT, *script(work, "write", CONNECT_MODBUS + """
client.write_coil(1, True)
client.write_register(1, 18)
client.write_coils(1, [True, False])
client.write_registers(1, [18, 19])
client.mask_write_register(address=1, and_mask=0xff, or_mask=1)
client.readwrite_registers(read_address=1, read_count=1, write_address=2, values=[20])
"""))


def bacnet(work, stack):
    """bacpypes3: who is there, a property read, and written."""
    server = script(work, "server", f"""
import asyncio
from bacpypes3.argparse import SimpleArgumentParser
from bacpypes3.app import Application
from bacpypes3.local.analog import AnalogValueObject
async def main():
    application = Application.from_args(SimpleArgumentParser().parse_args(["--address", "{SERVER_IP}/24", "--instance", "7", "--name", "chiller"]))
    application.add_object(AnalogValueObject(objectIdentifier=("analog-value", 1), objectName="setpoint", presentValue=18.0))
    await asyncio.get_running_loop().create_future()
asyncio.run(main())
""")
    stack.enter_context(background(SERVER, *server, ready=listening(47808, "u")))
    client = """
import asyncio
from bacpypes3.argparse import SimpleArgumentParser
from bacpypes3.app import Application
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import ObjectIdentifier, Real
async def main():
    application = Application.from_args(SimpleArgumentParser().parse_args(["--address", "%s/24", "--instance", "8", "--name", "panel"]))
    setpoint = ObjectIdentifier("analog-value,1")
    %s
    application.close()
asyncio.run(main())
"""
    with record.recording("bacnet-read"):
        inside(CLIENT, *script(work, "read", client % (CLIENT_IP, f'await application.who_is()\n    await application.read_property(Address("{SERVER_IP}"), setpoint, "present-value")')))
    with record.recording("bacnet-write"):
        inside(CLIENT, *script(work, "write", client % (
            CLIENT_IP, f'await application.write_property(Address("{SERVER_IP}"), setpoint, "present-value", Real(24.0))')))


def opcua(work, stack):
    """asyncua: a session, one value read."""
    server = script(work, "server", f"""
import asyncio
from asyncua import Server
async def main():
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://{SERVER_IP}:4840/")
    async with server:
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
""")
    stack.enter_context(background(SERVER, *server, ready=listening(4840)))
    client = script(work, "client", f"""
import asyncio
from asyncua import Client, ua
async def main():
    async with Client("opc.tcp://{SERVER_IP}:4840/") as client:
        await client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)).read_value()
asyncio.run(main())
""")
    with record.recording("opcua"):
        inside(CLIENT, *client)


def s7(work, stack):
    """python-snap7: a controller's data block, read."""
    server = script(work, "server", """
import time
from snap7.server import Server
from snap7 import SrvArea
server = Server()
server.register_area(SrvArea.DB, 1, bytearray(64))
server.start(tcp_port=102)
time.sleep(60)
""")
    stack.enter_context(background(SERVER, *server, ready=listening(102)))
    client = script(work, "client", f"""
from snap7.client import Client
client = Client()
client.connect("{SERVER_IP}", 0, 1)
client.db_read(1, 0, 4)
client.disconnect()
""")
    with record.recording("s7"):
        inside(CLIENT, *client)


def snmp(work, stack):
    """snmpd: a value read with versions 2c and 3; one set with 1, 2c, 3 without privacy and 3 with it."""
    (work / "snmpd.conf").write_text("rwcommunity rack-secret\ncreateUser plain MD5 authpass8\nrwuser plain auth\n"
                                     "createUser private SHA authpass8 AES privpass8\nrwuser private priv\n"
                                     f"agentAddress udp:{SERVER_IP}:161\n")
    stack.enter_context(background(SERVER, "snmpd", "-f", "-Lo", "-C", "-c", work / "snmpd.conf", "-p", work / "snmpd.pid",
                                   ready=listening(161, "u")))
    contact, location = "1.3.6.1.2.1.1.4.0", "1.3.6.1.2.1.1.6.0"
    plain = ("-v3", "-l", "authNoPriv", "-u", "plain", "-a", "MD5", "-A", "authpass8")
    private = ("-v3", "-l", "authPriv", "-u", "private", "-a", "SHA", "-A", "authpass8", "-x", "AES", "-X", "privpass8")
    with record.recording("snmp-read"):
        for how in (("-v2c", "-c", "rack-secret"), plain):
            inside(CLIENT, "snmpget", *how, SERVER_IP, contact)
    with record.recording("snmp-set"):
        for how in (("-v1", "-c", "rack-secret"), ("-v2c", "-c", "rack-secret"), plain, private):
            inside(CLIENT, "snmpset", *how, SERVER_IP, location, "s", "rack 7", check=False)


def ipmi(work, stack):
    """ipmi_sim and ipmitool: a status read with encryption; then logins with and without authentication, a wrong one, chassis control
    and firmware commands in the clear, by IPMI 2.0 and 1.5."""
    (work / "lan.conf").write_text(f"""name "bmc"
set_working_mc 0x20
  startlan 1
    addr {SERVER_IP} 623
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "operator" "bmc-secret" admin 10 none md2 md5 straight
""")
    (work / "bmc.emu").write_text("mc_setbmc 0x20\nmc_add 0x20 0 has-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n")
    stack.enter_context(background(SERVER, "ipmi_sim", "-c", work / "lan.conf", "-f", work / "bmc.emu", "-s", work, "-n", ready=listening(623, "u")))

    def ask(*words, user="operator", password="bmc-secret", how=("-I", "lanplus", "-C", 3)):
        inside(CLIENT, "ipmitool", *how, "-N", 1, "-R", 1, "-H", SERVER_IP, "-U", user, "-P", password, *words, check=False)

    with record.recording("ipmi-read"):
        ask("chassis", "status")
    with record.recording("ipmi-control"):
        ask("chassis", "status", password="wrong")
        ask("chassis", "status", user="nobody")
        for suite in (0, 1, 2):
            ask("chassis", "power", "cycle", how=("-I", "lanplus", "-C", suite))
        ask("chassis", "power", "off", how=("-I", "lan",))
        for how in (("-I", "lanplus", "-C", 1), ("-I", "lanplus", "-C", 2), ("-I", "lan")):
            ask("raw", "0x2c", "0x31", "0x00", "0x01", "0x00", how=how)
            ask("raw", "0x08", "0x01", how=how)


CONVERSATIONS = {"mqtt": mqtt, "coap": coap, "modbus": modbus, "bacnet": bacnet, "opcua": opcua, "s7": s7, "snmp": snmp, "ipmi": ipmi}


def main(names):
    if os.geteuid() != 0:
        sys.exit("record_edge.py makes network namespaces, which needs root")
    FOLDER.mkdir(exist_ok=True)
    record.HERE = record.PACKAGE_DATA = FOLDER      # nothing of it goes into the demo
    for name in names or CONVERSATIONS:
        with namespaces(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            CONVERSATIONS[name](Path(folder), stack)


if __name__ == "__main__":
    main(sys.argv[1:])
