-- KEYS: the index. ARGV: how many keys; for each when it ends, and its name.
local reply = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)) do
  reply[#reply + 1], reply[#reply + 2] = redis.call('ZSCORE', KEYS[1], name), name
end
return reply
