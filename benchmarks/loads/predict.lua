-- Posts the templates of a file in turn, with ids of their own in the places marked @ID@, and says at the end what
-- was counted as one line of JSON. Arguments: the file, the first id, and the word traceparent if each request is to
-- have a traceparent of its own.

local bodies = {}
local sent, next_id = 0, 0
local next_trace

local function parts(line)
  local found, start = {}, 1
  while true do
    local from, to = line:find("@ID@", start, true)
    found[#found + 1] = line:sub(start, (from or 0) - 1)
    if not from then
      return found
    end
    start = to + 1
  end
end

local function with_ids(body)
  local pieces = { body[1] }
  for i = 2, #body do
    pieces[#pieces + 1] = string.format("%d", next_id)
    pieces[#pieces + 1] = body[i]
    next_id = next_id + 1
  end
  return table.concat(pieces)
end

function init(args)
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = parts(line)
  end
  next_id = tonumber(args[2])
  next_trace = args[3] == "traceparent" and next_id
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local body = bodies[sent % #bodies + 1]
  sent = sent + 1
  if next_trace then
    next_trace = next_trace + 1
    wrk.headers["traceparent"] = string.format("00-%032x-%016x-01", next_trace, next_trace)
  end
  return wrk.format(nil, nil, nil, with_ids(body))
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "status_errors": %d, "socket_errors": %d, ' ..
    '"p50_us": %.0f, "p99_us": %.0f, "p999_us": %.0f}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
