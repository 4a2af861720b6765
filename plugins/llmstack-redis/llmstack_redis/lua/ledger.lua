-- The beginning of every script of the ledger. All of a ledger's state is in these keys, which share one slot:
local ACCOUNTS, RESERVATIONS, LEASES, ENDED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ROWS, HISTORY, WRITTEN, TIMES = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
-- ARGV: the epoch this process knows (empty: none; !: none, and what is left of a lost ledger goes), one to begin with
-- (empty: none may be begun), how long rows and ended reservations are kept (ms), the rest.
local KNOWN, FRESH, KEEP_ROWS, KEEP_ENDED = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local MOST = 9007199254740991 -- beyond 2^53 - 1 Lua's numbers are no longer exact

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The epoch stands in each of the three keys that hold money, and none of them has a TTL: whatever Redis forgets, by a
-- restart, a flush or an eviction, it forgets the epoch with it.
local epoch = redis.call('HGET', ACCOUNTS, '')
local found = { epoch, redis.call('HGET', RESERVATIONS, ''), redis.call('ZSCORE', LEASES, '') }

local function begin(value)
  epoch = value
  redis.call('DEL', ACCOUNTS, RESERVATIONS, LEASES, ENDED, TIMES)
  redis.call('HSET', ACCOUNTS, '', value)
  redis.call('HSET', RESERVATIONS, '', value)
  redis.call('ZADD', LEASES, '+inf', '')
end

if not (found[1] and found[1] == found[2] and found[3]) then
  local traces = redis.call('EXISTS', ACCOUNTS, RESERVATIONS, LEASES, ENDED, ROWS, HISTORY, WRITTEN, TIMES)
  if FRESH ~= '' and (KNOWN == '!' or (KNOWN == '' and traces == 0)) then
    begin(FRESH)
  else
    return { 'lost' }
  end
elseif KNOWN ~= '' and KNOWN ~= '!' and KNOWN ~= epoch then
  return { 'changed' }
end

local function text(number)
  return string.format('%.0f', number)
end

-- Accounts: by bucket a flat list of slices, four numbers each: its beginning, spent, held, kept until (s).
local accounts, touched = {}, {}

local function account(name)
  if not accounts[name] then
    local packed = redis.call('HGET', ACCOUNTS, 'b' .. name)
    accounts[name] = packed and cmsgpack.unpack(packed) or {}
  end
  return accounts[name]
end

local function balance(name, since)
  local slices, spent, held = account(name), 0, 0
  for i = 1, #slices, 4 do
    if slices[i] >= since then
      spent, held = spent + slices[i + 1], held + slices[i + 2]
    end
  end
  return spent, held
end

local function add(name, slice, keep, spent, held)
  local slices, at = account(name), nil
  for i = 1, #slices, 4 do
    if slices[i] == slice then at = i end
  end
  if not at then
    at = #slices + 1
    slices[at], slices[at + 1], slices[at + 2], slices[at + 3] = slice, 0, 0, keep
  end
  slices[at + 1], slices[at + 2] = slices[at + 1] + spent, slices[at + 2] + held
  slices[at + 3] = math.max(slices[at + 3], keep)
  touched[name] = true
  return slices[at + 1] + slices[at + 2] <= MOST
end

-- Writes an account without the slices whose time is over. One in which something is held stays, and is looked at again
-- in a minute.
local function write(name)
  local slices, kept, next_over = account(name), {}, nil
  for i = 1, #slices, 4 do
    local over = slices[i + 3] * 1000 <= now
    if not over or slices[i + 2] > 0 then
      for j = i, i + 3 do kept[#kept + 1] = slices[j] end
      next_over = math.min(next_over or math.huge, over and now / 1000 + 60 or slices[i + 3])
    end
  end
  accounts[name] = kept
  if #kept == 0 then
    redis.call('HDEL', ACCOUNTS, 'b' .. name)
    redis.call('ZREM', TIMES, name)
    return
  end
  redis.call('HSET', ACCOUNTS, 'b' .. name, cmsgpack.pack(kept))
  redis.call('ZADD', TIMES, text(next_over), name)
end

local function forget_accounts(most)
  local over = redis.call('ZRANGEBYSCORE', TIMES, '-inf', text(math.floor(now / 1000)), 'LIMIT', 0, most)
  for _, name in ipairs(over) do write(name) end
  return #over
end

local function save()
  for name in pairs(touched) do write(name) end
  touched = {}
  forget_accounts(3)
end

-- Reservations: state, the row's id, its time and its text, and the charges, five values each: bucket, slice, since
-- when the bucket counts, kept until, amount.
local function load(id)
  local packed = redis.call('HGET', RESERVATIONS, 'r' .. id)
  if not packed then return nil end
  local kept = cmsgpack.unpack(packed)
  return { id = id, state = kept[1], row = kept[2], at = kept[3], json = kept[4], charges = kept[5] }
end

local function store(it)
  local packed = cmsgpack.pack({ it.state, it.row, it.at, it.json, it.charges })
  redis.call('HSET', RESERVATIONS, 'r' .. it.id, packed)
end

-- An ended reservation is remembered for a while, for what comes late or twice.
local function finish(it, state)
  it.state, it.json = state, ''
  store(it)
  redis.call('ZREM', LEASES, 'r' .. it.id)
  redis.call('ZADD', ENDED, text(now + KEEP_ENDED), it.id)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', ENDED, '-inf', text(now), 'LIMIT', 0, 5)) do
    redis.call('HDEL', RESERVATIONS, 'r' .. old)
    redis.call('ZREM', ENDED, old)
  end
end

local function drop_row(id)
  redis.call('HDEL', ROWS, id)
  redis.call('ZREM', HISTORY, id)
  redis.call('ZREM', WRITTEN, id)
end

local function put_row(id, at, json)
  redis.call('HSET', ROWS, id, json)
  redis.call('ZADD', HISTORY, at, id)
  redis.call('ZADD', WRITTEN, text(now), id)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', WRITTEN, '-inf', text(now - KEEP_ROWS), 'LIMIT', 0, 5)) do
    drop_row(old)
  end
end

-- Ends some of the leases that are over; true if there may be more. A row's first letter tells how it ended.
local function sweep(most)
  local due = redis.call('ZRANGEBYSCORE', LEASES, '-inf', text(now), 'LIMIT', 0, most)
  for _, member in ipairs(due) do
    local it = load(string.sub(member, 2))
    if it then
      local sent = it.state == 'sent'
      for i = 1, #it.charges, 5 do
        local amount = it.charges[i + 4]
        add(it.charges[i], it.charges[i + 1], it.charges[i + 3], sent and amount or 0, -amount)
      end
      put_row(it.row, it.at, (sent and 's' or 'h') .. it.json)
      finish(it, sent and 'expired' or 'lapsed') -- told apart: the first is charged already
    else
      redis.call('ZREM', LEASES, member)
    end
  end
  if #due > 0 then save() end
  return #due == most
end

local function balances(charges)
  local reply = { epoch, 'ok' }
  for i = 1, #charges, 5 do
    local spent, held = balance(charges[i], charges[i + 2])
    reply[#reply + 1], reply[#reply + 2] = text(spent), text(held)
  end
  return reply
end
