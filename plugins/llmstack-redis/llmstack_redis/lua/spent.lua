-- ARGV: two a bucket: its name, since when it counts.
if sweep(100) then return { epoch, 'again' } end
local reply = { epoch, 'ok' }
for i = 5, #ARGV, 2 do
  local spent, held = balance(ARGV[i], tonumber(ARGV[i + 1]))
  if spent + held > MOST then return { epoch, 'much' } end
  reply[#reply + 1], reply[#reply + 2] = text(spent), text(held)
end
return reply
