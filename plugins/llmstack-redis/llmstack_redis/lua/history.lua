-- ARGV: from when, until when, the last row's id of the page before (empty: none), how many rows.
local first = redis.call('ZCOUNT', HISTORY, '-inf', '(' .. ARGV[5])
local last = redis.call('ZCOUNT', HISTORY, '-inf', '(' .. ARGV[6]) - 1
if ARGV[7] ~= '' then
  local rank = redis.call('ZRANK', HISTORY, ARGV[7])
  if not rank then return { epoch, 'gone' } end
  first = math.max(first, rank + 1)
end
last = math.min(last, first + tonumber(ARGV[8]) - 1)
local reply = { epoch, 'ok' }
if last < first then return reply end
for _, id in ipairs(redis.call('ZRANGE', HISTORY, first, last)) do
  reply[#reply + 1], reply[#reply + 2] = id, redis.call('HGET', ROWS, id) or ''
end
return reply
