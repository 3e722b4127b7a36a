-- What wrk sends: the bodies of a file, one a line, over and over; and the line that it prints at the end.
-- WRK_BODIES names the file. One thread only: each thread would begin at the first body.

local requests, position = {}, 0

function init(arguments)
  for body in io.lines(os.getenv("WRK_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, all)
  local errors = summary.errors
  io.write(string.format(
    "WRK requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d "
    .. "connect=%d read=%d write=%d status=%d timeout=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
