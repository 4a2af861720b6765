-- KEYS: the index. ARGV: when it ends and its name for each key; one that was stored again meanwhile stays.
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i + 1]) == ARGV[i] then redis.call('ZREM', KEYS[1], ARGV[i + 1]) end
end
return 0
