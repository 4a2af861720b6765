-- ARGV: id, then perhaps the row's id, its time, its text.
local it = load(ARGV[5])
if not it then
  finish({ id = ARGV[5], row = '', at = '', charges = {} }, 'never')
  if ARGV[6] then put_row(ARGV[6], ARGV[7], 'r' .. ARGV[8]) end
elseif it.state == 'held' or it.state == 'sent' then
  for i = 1, #it.charges, 5 do
    add(it.charges[i], it.charges[i + 1], it.charges[i + 3], 0, -it.charges[i + 4])
  end
  save()
  finish(it, 'released')
  if ARGV[6] then put_row(ARGV[6], ARGV[7], 'r' .. ARGV[8]) end
end
return { epoch, 'ok' }
