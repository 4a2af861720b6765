-- A tenant's keys, by when they end. KEYS: the index. ARGV: now (ms), then when it ends and its name for each key.
local now, last = tonumber(ARGV[1]), 0
for i = 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
  last = math.max(last, tonumber(ARGV[i]))
end
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 20)
if #over > 0 then redis.call('ZREM', KEYS[1], unpack(over)) end
local left = math.max(1, last - now)
if redis.call('PTTL', KEYS[1]) < left then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left)) end
return 0
