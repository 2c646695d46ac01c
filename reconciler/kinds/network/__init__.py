"""Network: a bridge network that containers are in."""
