-- Vratar behind HAProxy: asks the gateway whether a request may pass, with HAProxy's own HTTP client (2.6 and newer).
--   global
--       lua-load /etc/haproxy/vratar.lua
--       setenv VRATAR_GATEWAY 127.0.0.1:8080      (server.listen of the gateway; an address, not a name)
-- See vratar.cfg for the lines around it. Every line is exercised by test/deploy/front-snippets.test.ts.

local gateway = os.getenv('VRATAR_GATEWAY') or '127.0.0.1:8080'
local question = 'http://' .. gateway .. '/_vratar/auth/haproxy'

-- What the gateway may say about a person. An application with headers.set needs its names here, in lower case.
local identity = {
  'remote-user', 'remote-groups', 'remote-name', 'remote-email', 'remote-roles', 'remote-groups-overflow',
  'x-vratar-assertion',
}

-- All the gateway needs to decide and to tell a person from a script. No body, and nothing that frames one.
local asked = {
  'cookie', 'authorization', 'accept', 'accept-language', 'user-agent', 'sec-fetch-mode',
  'x-requested-with',
}

-- Session, -csrf and -lang cookie of the gateway; adapt "vratar" when session.cookie.name is set.
local function is_gateway_cookie(pair)
  local name = pair:match('^%s*([^=]*)'):gsub('%s+$', ''):gsub('^__Host%-', ''):gsub('^__Secure%-', '')
  return name == 'vratar' or name:match('^vratar%-%l+$') ~= nil
end

-- The session ticket is for the gateway alone: an application that logs or leaks its Cookie header must not have it.
local function hide_cookies(txn, lines)
  local kept = {}
  for _, line in ipairs(lines) do
    for pair in line:gmatch('[^;]+') do
      if not is_gateway_cookie(pair) then kept[#kept + 1] = pair:match('^%s*(.-)%s*$') end
    end
  end
  txn.http:req_del_header('cookie')
  if #kept > 0 then txn.http:req_add_header('cookie', table.concat(kept, '; ')) end
end

-- Values of the other side are tables that start at 0.
local function list(values)
  local all = {}
  for i = 0, #(values or {}) do all[#all + 1] = values and values[i] end
  return all
end

-- The gateway does not answer: 503 says when to come back, and never lets the request pass.
local function unavailable(txn)
  txn:done(txn:reply{
    status = 503,
    headers = { ['retry-after'] = '5', ['cache-control'] = 'no-store', ['content-type'] = 'text/plain; charset=utf-8' },
    body = 'Sign-in is temporarily unavailable. Please try again in a moment.\n',
  })
end

core.register_action('vratar', { 'http-req' }, function(txn)
  local client, headers = txn.http:req_get_headers(), {}
  for _, name in ipairs(asked) do
    if client[name] then headers[name] = list(client[name]) end
  end
  -- What is asked about: exactly what the client sent, since the gateway judges every reading of it.
  headers['host'] = list(client['host'])
  headers['x-forwarded-method'] = { txn.f:method() }
  headers['x-forwarded-uri'] = { txn.f:pathq() }
  headers['x-forwarded-host'] = headers['host']
  headers['x-forwarded-proto'] = { txn.f:ssl_fc() == 1 and 'https' or 'http' }
  headers['x-forwarded-for'] = { txn.f:src() }
  -- A gateway that does not answer means 503 soon, not a browser that waits for a minute.
  local answer = core.httpclient():get{ url = question, headers = headers, timeout = 15000 }
  -- Without Retry-After it was HAProxy that could not reach the gateway and made an answer up.
  local is_made_up = answer and answer.status >= 500 and not answer.headers['retry-after']
  if not answer or answer.status < 200 or is_made_up then return unavailable(txn) end

  if answer.status ~= 200 then
    -- The gateway's own answer is the client's: redirect, 401, 403, 503. Framing and connection belong to HAProxy.
    local reply = txn:reply{ status = answer.status, reason = answer.reason, body = answer.body }
    for name, values in pairs(answer.headers) do
      if name ~= 'content-length' and name ~= 'transfer-encoding' and name ~= 'connection' and name ~= 'keep-alive' then
        for _, value in ipairs(list(values)) do reply:add_header(name, value) end
      end
    end
    return txn:done(reply)
  end

  -- Set when there is a value, removed otherwise: what the client sent under these names never stays.
  for _, name in ipairs(identity) do
    txn.http:req_del_header(name)
    local value = list(answer.headers[name])[1]
    if value and value ~= '' then txn.http:req_add_header(name, value) end
  end
  hide_cookies(txn, list(client['cookie']))
  -- A renewed session cookie comes with the verdict; vratar.cfg adds it to the application's answer.
  txn:set_var('txn.vratar_set_cookie', list(answer.headers['set-cookie'])[1] or '')
  -- The last word of a Kerberos negotiation, for clients that ask the server to prove itself too.
  txn:set_var('txn.vratar_negotiate', list(answer.headers['www-authenticate'])[1] or '')
end, 0)
