"""An HTTP/3 server of another make.

Usage: http3_server.py PORT CERTIFICATE KEY

Paths: /status/503, /close (a clean end of the connection instead of an answer); everything else is echoed.
"""
import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated


class Echo(QuicConnectionProtocol):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.h3 = None
        self.requests = {}

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.h3 = H3Connection(self._quic)
        for heard in self.h3.handle_event(event) if self.h3 else []:
            if isinstance(heard, HeadersReceived):
                self.requests[heard.stream_id] = (dict(heard.headers), b"")
            if isinstance(heard, DataReceived):
                headers, body = self.requests[heard.stream_id]
                self.requests[heard.stream_id] = (headers, body + heard.data)
            if isinstance(heard, (HeadersReceived, DataReceived)) and heard.stream_ended:
                self.answer(heard.stream_id, *self.requests.pop(heard.stream_id))

    def answer(self, stream, headers, body):
        path = headers[b":path"]
        if path == b"/close":
            self.close(error_code=0x100)
            return
        status = path.removeprefix(b"/status/") if path.startswith(b"/status/") else b"200"
        self.h3.send_headers(stream, [(b":status", status), (b"server", b"aioquic")])
        self.h3.send_data(stream, headers[b":method"] + b" " + path + b" " + body, end_stream=True)
        self.transmit()


async def main():
    port, certificate, key = sys.argv[1:]
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(certificate, key)
    await serve("127.0.0.1", int(port), configuration=configuration, create_protocol=Echo)
    print("ready", flush=True)
    await asyncio.Future()


asyncio.run(main())
