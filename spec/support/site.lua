-- SPDX-License-Identifier: MIT
-- Folders of files, and servers of them.

local http = require 'spec.support.http'
local websockets = require 'websockets'

local site = {}

local folders = {}

function site.run(command)
  local status = os.execute(command)
  assert(status == true or status == 0, 'failed: ' .. command)
end

-- The path of a new folder with these files: name -> contents. Removed by site.remove_folders().
function site.folder(files)
  local root = os.tmpname()
  os.remove(root)
  folders[#folders + 1] = root
  local names, sorted = { root }, {}
  for name in pairs(files) do
    sorted[#sorted + 1] = name
    names[#names + 1] = ("'%s/%s'"):format(root, name:match '^(.*)/' or '')
  end
  site.run('mkdir -p ' .. table.concat(names, ' '))
  table.sort(sorted) -- what is compressed has to be no older than what it was made of
  for _, name in ipairs(sorted) do
    http.overwrite(root .. '/' .. name, files[name])
  end
  return root
end

function site.remove_folders()
  for _, root in ipairs(folders) do
    site.run('rm -rf ' .. root)
  end
  folders = {}
end

-- A server of these files, and a client of it. Returns the client, the folder, the context and its port.
function site.open(files, options, config)
  local root = site.folder(files)
  local c, ctx, port = http.open(websockets.static(root, options), config)
  return c, root, ctx, port
end

-- The time at which a file was last changed.
function site.touch(path, date) site.run(('touch -d "%s" %s'):format(date, path)) end

-- What comes to a GET: status, headers, body. Options: those of http.request().
function site.get(c, path, options)
  options = options or {}
  c:send(http.request(path, options))
  local status, headers = c:read_head()
  local has_body = options.method ~= 'HEAD' and headers['content-length']
  return status, headers, has_body and c:read(tonumber(headers['content-length'])) or ''
end

return site
