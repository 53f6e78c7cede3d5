"""How much a peer may cost, in seconds, bytes and counts: what Hypercorn 0.18 does not bound itself."""

from __future__ import annotations

from chat.server.rates import Pace

# The most a configuration may ask for; a lower setting stays as it is. Seconds and bytes.
CEILINGS: dict[str, float] = {
    "websocket_max_message_size": 256 * 1024,
    "websocket_ping_interval": 20,
    "read_timeout": 45,
    "keep_alive_timeout": 45,
    "h11_max_incomplete_size": 64 * 1024,
    "max_app_queue_size": 10,
}
DEFAULTS = {"backlog": 2048}  # better than Hypercorn's
ALPN = ["http/1.1"]  # whatever a configuration asks for: none of these guards would see HTTP/2
PEER_TIMEOUT = 30.0  # seconds in which a peer takes nothing of what we send
SEND_BUFFER = 128 * 1024  # bytes that the kernel keeps for one peer (it doubles the figure)
WRITE_BUFFER = 16 * 1024  # bytes that wait in the process for one peer while its sender goes on
FAST_PATH_BYTES = 16 * 1024  # of a frame; a longer one goes the ordinary way, which waits for its peer
FAST_TEXT = 16 * 1024  # bytes of a text that is taken at the transport: a message has at most half of that
REST_TIMEOUT = 1.0  # seconds in which the end of such a text has to follow its start
INBOX = 16  # messages of one socket that wait for its handler
INBOX_BYTES = 256 * 1024  # of them, those being handled and the one arriving; one alone may be bigger
INBOXES_BYTES = 64 * 1024 * 1024  # of all sockets: what waits, what arrives and what is being handled
INBOX_FREE = 16 * 1024  # bytes of one socket that are read however much the others hold
INBOXES_PATIENCE = 10.0  # seconds to wait for the others; then the page is asked to come back
MESSAGE_TIMEOUT = 30.0  # seconds from the first byte of a message to the last
LINGER = 1.0  # seconds that a peer cut off has to read why: closing over unread bytes destroys the reason
LOOK_EVERY = 0.1  # seconds between looks whether the rest of a body has come
DROPS = 2000  # reads that are dropped in a second, of all: 50 µs each
NEW_OBJECTS = 10_000  # between collections of garbage: Python's 700 fit a program with little in memory
GRACE = 0.8  # of graceful_timeout: then what is still open is cut, so that the process ends in time

# Frames of every type. A browser sends a pong every 20 s, and up to a hundred texts when it comes back.
FRAMES = Pace(per_second=20, burst=300)  # of one socket; over it the socket is closed with 1008
FRAMES_PER_PERSON = Pace(per_second=50, burst=1200)  # of all sockets of a person: ten of them, so 1008, too
FRAMES_PER_ADDRESS = Pace(per_second=1000, burst=5000)  # a company may stand behind one: slowed down
FRAMES_AT_ONCE = 32  # of one socket before others have their turn: 2 ms of pings; 64 KiB hold 10,000
FRAME_PART = 0.25  # what a part of a frame counts, which is what one read brought of it
LONGEST_PAUSE = 2.0  # seconds in which a socket is not read because its address sent too many frames

# Before the body of a request. All of it together is bounded by h11_max_incomplete_size.
TARGET = 4096  # bytes of the path and the query
HEADERS = 100  # header lines
PARSED_HEADER = 1024  # bytes of a header that somebody parses, of all its lines; a browser's take 200
COOKIES = 8192  # bytes

# The body. How long one may be is the application's MAX_CONTENT_LENGTH.
BODY_FREE = 4 * 1024  # bytes that are always taken: most messages
BODIES = 4 * 1024 * 1024  # bytes beyond that, of all that are arriving
BODIES_PER_ADDRESS = 1024 * 1024  # of them
BODIES_OF_A_VISITOR = 32 * 1024  # a text of the greatest length: the last eighth is for who has no more
BODY_PARTS = 4096  # that it arrives in; 200,000 chunks of one byte took 1.9 s of CPU
BODY_TIMEOUT = 20.0  # seconds for the whole body
FIELDS = 256  # of a form
FORM = 512 * 1024  # bytes of them, as Python holds them; of the longest text that a page sends 100 KiB

# Requests of one address, which wait for each other and for nobody else.
PLACES_PER_ADDRESS = 16  # that are worked on at once: 2 to 5 ms each
WAITING_PER_ADDRESS = 2048  # others that wait in order; any more are answered 503
PLACE_PATIENCE = 30.0  # seconds until one that waits is answered 503
COME_AGAIN = 5  # seconds after which it may
STARTS_AT_ONCE = 32  # connections that are set up, and heads that are parsed, in a turn of the event loop

# Connections. A worker has a descriptor for each; Debian allows 1,024 until a process asks for more.
DESCRIPTORS = 65_536  # to ask for
OWN_DESCRIPTORS = 128  # of them for databases, files and listening
CONNECTIONS_PER_ADDRESS = 2048  # or a quarter of all: a company behind one address
RESERVED_SHARE = 8  # the last eighth of all is for addresses that have few:
CONNECTIONS_OF_A_VISITOR = 8
ACCEPTS_AT_ONCE = 64  # before others have their turn
ACCEPT_PAUSE = 0.25  # seconds, when the system has no descriptor left
HANDSHAKE_TIMEOUT = 5.0  # seconds for that of TLS
RECEIVE_BUFFER = 32 * 1024  # bytes that the kernel keeps of one peer (it doubles the figure)
READ_AT_ONCE = 8 * 1024  # bytes of one peer
READ_BUFFER = 2 * 1024  # bytes, twice, that wait for the parser while more is read
