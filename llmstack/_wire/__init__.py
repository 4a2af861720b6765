"""Pure functions of the wire: server-sent events, streamed replies, endpoint names. No I/O."""
