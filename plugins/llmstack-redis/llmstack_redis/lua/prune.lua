-- ARGV: before when.
local old = redis.call('ZRANGEBYSCORE', HISTORY, '-inf', '(' .. ARGV[5], 'LIMIT', 0, 200)
for _, id in ipairs(old) do
  drop_row(id)
end
local accounts_left = forget_accounts(200) == 200
return { epoch, (#old == 200 or accounts_left) and 'more' or 'ok', text(#old) }
