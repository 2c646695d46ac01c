"""Network: a bridge network that containers join."""
