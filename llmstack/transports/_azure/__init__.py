"""Private parts of the Azure transport."""
