-- ARGV: id.
local it = load(ARGV[5])
if it and it.state == 'held' then
  it.state = 'sent'
  store(it)
end
return { epoch, 'ok' }
