-- SPDX-License-Identifier: MIT
-- The page of the test servers: function(directory) -> an on_http that serves the page in that directory.

-- Only these are served: no path is ever made from what a client asks for.
local pages = {
  ['/'] = { 'test.html', 'text/html; charset=utf-8' },
  ['/test.html'] = { 'test.html', 'text/html; charset=utf-8' },
  ['/test.css'] = { 'test.css', 'text/css; charset=utf-8' },
  ['/test.js'] = { 'test.js', 'text/javascript; charset=utf-8' },
  ['/connection.js'] = { 'connection.js', 'text/javascript; charset=utf-8' },
  ['/favicon.svg'] = { 'favicon.svg', 'image/svg+xml' },
  ['/favicon.ico'] = { 'favicon.ico', 'image/x-icon' },
}

return function(directory)
  directory = directory:gsub('/+$', '') .. '/'
  return function(ws, uri)
    local page = pages[uri:match('^[^?]*')]
    if page then -- anything else is answered with 404
      ws:serve_http_file(directory .. page[1], page[2])
    end
  end
end
