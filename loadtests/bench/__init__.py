"""`make bench`: the engine alone, the service against its peers, continuous decoding."""
