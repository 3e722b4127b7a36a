-- What wrk sends: the bodies of a file, one a line, over and over; and the line that it prints at the end.
-- WRK_BODIES names the file. One thread only: each thread would begin at the first body.
-- Each request has new words in the places of those that new_words.py marks.

local requests, position = {}, 0
math.randomseed(os.time())

local function make_word()
  local random = math.random
  return string.char(113, 122, random(97, 122), random(97, 122), random(97, 122),
    random(97, 122))
end

function init(arguments)
  for body in io.lines(os.getenv("WRK_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end

function request()
  position = position % #requests + 1
  local request = requests[position]:gsub("%f[%w]qz%l%l%l%l%f[%W]", make_word)
  return request
end

function done(summary, latency, all)
  local errors = summary.errors
  io.write(string.format(
    "WRK requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d "
    .. "connect=%d read=%d write=%d status=%d timeout=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
