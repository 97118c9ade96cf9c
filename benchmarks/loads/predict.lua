-- Posts the templates of a file in turn, with ids of their own in the places marked @ID@, and says at the end what
-- was counted as one line of JSON. Arguments: the file, the first id, and true if each request is to have a traceparent
-- of its own, otherwise false. Four more check each answer to an array: a member of its first item, the number there, a
-- tolerance, and the number of items.

local bodies = {}
local sent, next_id = 0, 0
local next_trace
local the_thread
wrong_answers = 0 -- global, so that done() can read it from the thread

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

local function count(text, part)
  local found, start = 0, 1
  while true do
    local _, to = text:find(part, start, true)
    if not to then
      return found
    end
    found, start = found + 1, to + 1
  end
end

local function check_answers(member, number, tolerance, items)
  local pattern = '"' .. member .. '": ?(%-?[%d.eE+-]+)'
  function response(status, _, body)
    local first = tonumber(body:match(pattern))
    local is_near = first and math.abs(first - number) <= tolerance
    if status ~= 200 or not is_near or count(body, '"observation_id":') ~= items then
      wrong_answers = wrong_answers + 1
    end
  end
end

function setup(thread)
  the_thread = thread
end

function init(args)
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = parts(line)
  end
  next_id = tonumber(args[2])
  next_trace = args[3] == "true" and next_id
  if args[4] then
    check_answers(args[4], tonumber(args[5]), tonumber(args[6]), tonumber(args[7]))
  end
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
    '{"requests": %d, "microseconds": %d, "status_errors": %d, "wrong_answers": %d, "socket_errors": %d, ' ..
    '"p50_us": %.0f, "p99_us": %.0f, "p999_us": %.0f}\n',
    summary.requests, summary.duration, errors.status, the_thread:get("wrong_answers"),
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
