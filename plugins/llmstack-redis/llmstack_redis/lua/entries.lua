-- KEYS: where entries are. ARGV: the last byte of each that is wanted. What is not there is empty, what is no string none.
local found = {}
for i, key in ipairs(KEYS) do
  local reply = redis.pcall('GETRANGE', key, 0, ARGV[1])
  if type(reply) == 'table' and reply.err then
    if not string.find(reply.err, 'WRONGTYPE', 1, true) then return reply end
    reply = false
  end
  found[i] = reply
end
return found
