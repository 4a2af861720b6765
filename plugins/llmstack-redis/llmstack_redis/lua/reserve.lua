-- ARGV: id, lease (ms), state, row's id, its time, its text; then six a charge: bucket, slice, since when the bucket
-- counts, for how long it is kept (s), amount, limit (empty: none).
local more = sweep(100)
local id = ARGV[5]
local charges = {}
for i = 11, #ARGV, 6 do
  charges[#charges + 1] = ARGV[i]
  for j = 1, 4 do charges[#charges + 1] = tonumber(ARGV[i + j]) end
  charges[#charges - 1] = charges[#charges - 1] + math.floor(now / 1000)
end
if redis.call('HEXISTS', RESERVATIONS, 'r' .. id) == 1 then return balances(charges) end

local before = {} -- what earlier charges take of the same bucket
for i = 1, #charges, 5 do
  local name, since, amount = charges[i], charges[i + 2], charges[i + 4]
  local spent, held = balance(name, since)
  local sum = spent + held + (before[name] or 0) + amount
  local limit = ARGV[11 + (i - 1) / 5 * 6 + 5]
  if limit ~= '' and sum > tonumber(limit) then
    if more then return { epoch, 'again' } end
    return { epoch, 'refused', text((i - 1) / 5), text(spent), text(held) }
  end
  if sum > MOST then return { epoch, 'much' } end
  before[name] = (before[name] or 0) + amount
end
for i = 1, #charges, 5 do
  if not add(charges[i], charges[i + 1], charges[i + 3], 0, charges[i + 4]) then return { epoch, 'much' } end
end
store({ id = id, state = ARGV[7], row = ARGV[8], at = ARGV[9], json = ARGV[10], charges = charges })
redis.call('ZADD', LEASES, text(now + tonumber(ARGV[6])), 'r' .. id)
save()
return balances(charges)
