"""Everything that touches the network and its training."""
