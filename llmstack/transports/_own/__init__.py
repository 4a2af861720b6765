"""Private parts of the transports that send to a place of their own."""
