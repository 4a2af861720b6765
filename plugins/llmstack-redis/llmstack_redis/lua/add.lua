-- ARGV: the row's id, its time, its text.
if redis.call('HEXISTS', ROWS, ARGV[5]) == 0 then put_row(ARGV[5], ARGV[6], 'r' .. ARGV[7]) end
return { epoch, 'ok' }
