-- Vratar behind Apache 2.4: asks the gateway whether a request may pass. Apache has no auth_request of its own; this is
-- an access checker for mod_lua with LuaSocket (Debian: lua-socket). See vratar.conf for the lines around it.
-- Every line is exercised by test/deploy/front-snippets.test.ts against Apache 2.4.

local http = require 'socket.http'
local ltn12 = require 'ltn12'

-- server.listen of the gateway.
local gateway = 'http://127.0.0.1:8080'

-- What the gateway may say about a person. An application with headers.set needs its names here.
local identity = {
  'Remote-User', 'Remote-Groups', 'Remote-Name', 'Remote-Email', 'Remote-Roles', 'Remote-Groups-Overflow',
  'X-Vratar-Assertion',
}

-- All the gateway needs to decide and to tell a person from a script. No body, and nothing that frames one.
local asked = {
  'Cookie', 'Authorization', 'Accept', 'Accept-Language', 'User-Agent', 'Sec-Fetch-Mode', 'X-Requested-With',
}

-- A gateway that does not answer means 503 for the client soon, not a browser that waits for a minute.
http.TIMEOUT = 15

-- Session, -csrf and -lang cookie of the gateway; adapt "vratar" when session.cookie.name is set.
local function is_gateway_cookie(pair)
  local name = pair:match('^%s*([^=]*)'):gsub('%s+$', ''):gsub('^__Host%-', ''):gsub('^__Secure%-', '')
  return name == 'vratar' or name:match('^vratar%-%l+$') ~= nil
end

-- The session ticket is for the gateway alone: an application that logs or leaks its Cookie header must not have it.
local function hide_cookies(r, line)
  local kept = {}
  for pair in (line or ''):gmatch('[^;]+') do
    if not is_gateway_cookie(pair) then kept[#kept + 1] = pair:match('^%s*(.-)%s*$') end
  end
  r.headers_in['Cookie'] = #kept > 0 and table.concat(kept, '; ') or nil
end

-- Remote_User and Remote.User are the same variable as Remote-User for WSGI, CGI and PHP: like with nginx's defaults no
-- name passes that has anything but letters, digits and "-".
local function drop_odd_names(r)
  local odd = {}
  for name in pairs(r:headers_in_table()) do
    if name:find('[^%w-]') then odd[#odd + 1] = name end
  end
  for _, name in ipairs(odd) do r.headers_in[name] = nil end
end

function ask(r)
  drop_odd_names(r)
  -- r.uri is the decoded and cleaned path that ProxyPass maps too, so no spelling slips between the two.
  -- Forward-auth is for this file itself. Open to clients it would answer questions they make up.
  local path = r.uri:lower():gsub('%%2f', '/')
  if (path .. '/'):match('^/+_vratar/+auth/') then return 404 end
  -- Sign-in, sign-out and the portal are reached without asking.
  if r.uri:sub(1, 9) == '/_vratar/' then return apache2.DECLINED end

  local headers = {}
  for _, name in ipairs(asked) do headers[name:lower()] = r.headers_in[name] end
  -- What is asked about: exactly what the client sent, since the gateway judges every reading of it.
  headers['host'] = r.headers_in['Host']
  headers['x-forwarded-method'] = r.method
  headers['x-forwarded-uri'] = r.unparsed_uri:gsub('^%a+://[^/?]*', '')
  headers['x-forwarded-host'] = r.headers_in['Host']
  headers['x-forwarded-proto'] = r.is_https and 'https' or 'http'
  headers['x-forwarded-for'] = r.useragent_ip
  headers['connection'] = 'close'

  local body = {}
  local answered, status, fields = http.request{
    url = gateway .. '/_vratar/auth/haproxy', headers = headers, redirect = false, sink = ltn12.sink.table(body),
  }
  if not answered then
    r:err('vratar: the gateway does not answer: ' .. tostring(status))
    status, fields = 503, { ['retry-after'] = '5', ['content-type'] = 'text/plain; charset=utf-8' }
    body = { 'Sign-in is temporarily unavailable. Please try again in a moment.\n' }
  end

  if status ~= 200 then
    -- The gateway's own answer is the client's: redirect, 401, 403, 503. Framing and connection belong to Apache.
    r.status = status
    r.content_type = fields['content-type'] or 'text/plain'
    for _, name in ipairs{ 'Location', 'WWW-Authenticate', 'Retry-After' } do
      r.err_headers_out[name] = fields[name:lower()]
    end
    -- LuaSocket joins what came as two fields, and cookies must not be joined: those of the gateway hold no comma. A
    -- table of Apache's takes one value for each name; both tables are sent.
    local cookies = {}
    for cookie in ((fields['set-cookie'] or '') .. ', '):gmatch('(.-), ') do cookies[#cookies + 1] = cookie end
    if cookies[1] ~= '' then r.err_headers_out['Set-Cookie'] = cookies[1] end
    if cookies[2] then r.headers_out['Set-Cookie'] = cookies[2] end
    r.err_headers_out['Cache-Control'] = 'no-store'
    r:write(table.concat(body))
    return apache2.DONE
  end

  -- Set when there is a value, removed otherwise: what the client sent under these names never stays.
  for _, name in ipairs(identity) do
    local value = fields[name:lower()]
    r.headers_in[name] = value ~= '' and value or nil
  end
  hide_cookies(r, r.headers_in['Cookie'])
  -- The directory's password or a Kerberos ticket is not the application's business. Delete this line, and set
  -- forwardAuthorization, for an application with a sign-in of its own.
  r.headers_in['Authorization'] = nil
  -- A renewed session cookie comes with the verdict, beside the application's own.
  if fields['set-cookie'] then r.err_headers_out['Set-Cookie'] = fields['set-cookie'] end
  -- The last word of a Kerberos negotiation, for clients that ask the server to prove itself too.
  if fields['www-authenticate'] then r.err_headers_out['WWW-Authenticate'] = fields['www-authenticate'] end
  return apache2.DECLINED
end
