from fastpath.control.columns import Columns as Columns
from fastpath.control.config import Config as Config
from fastpath.control.config import ConfigError as ConfigError
from fastpath.control.device import Device as Device
from fastpath.control.engine import Engine as Engine
from fastpath.control.engine import Progress as Progress
from fastpath.control.isolation import Isolation as Isolation
from fastpath.control.packets import ETHERNET as ETHERNET
from fastpath.control.packets import LINUX_SLL as LINUX_SLL
from fastpath.control.packets import LINUX_SLL2 as LINUX_SLL2
from fastpath.control.packets import NULL as NULL
from fastpath.control.packets import RAW as RAW
from fastpath.control.packets import PacketBatch as PacketBatch
from fastpath.control.reload import Order as Order
from fastpath.control.replies import Reply as Reply
from fastpath.control.result import Action as Action
from fastpath.control.result import Batch as Batch
from fastpath.control.result import Damage as Damage
from fastpath.control.result import Result as Result
from fastpath.control.result import Sink as Sink
from fastpath.control.result import Verdicts as Verdicts
from fastpath.control.why import Why as Why
from fastpath.rules import RuleSet as RuleSet

__version__: str
