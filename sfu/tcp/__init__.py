"""The TCP port for peers whose network lets no UDP through."""

from sfu.tcp.listener import TcpListener

__all__ = ["TcpListener"]
