"""Programs that send load: open loop, closed loop, wrk."""
