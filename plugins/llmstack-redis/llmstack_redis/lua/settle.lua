-- ARGV: id, row's id, its time, its text; then what each charge did cost.
local it = load(ARGV[5])
if not it or it.state == 'never' then return { epoch, 'unknown' } end
if #it.charges ~= (#ARGV - 8) * 5 then return { epoch, 'amounts', text(#it.charges / 5) } end
if it.state ~= 'settled' and it.state ~= 'released' then
  local open = it.state == 'held' or it.state == 'sent'
  for i = 1, #it.charges, 5 do
    local amount = it.charges[i + 4]
    -- Of an expired one all has been charged; of one whose lease ended before it was sent, nothing.
    local spent = tonumber(ARGV[9 + (i - 1) / 5]) - (it.state == 'expired' and amount or 0)
    local fits = add(it.charges[i], it.charges[i + 1], it.charges[i + 3], spent, open and -amount or 0)
    if not fits then return { epoch, 'much' } end
  end
  save()
  if it.row ~= ARGV[6] then drop_row(it.row) end
  put_row(ARGV[6], ARGV[7], 'r' .. ARGV[8])
  finish(it, 'settled')
end
return balances(it.charges)
