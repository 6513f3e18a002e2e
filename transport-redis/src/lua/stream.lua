local function pairs_of(flat)
  local map = {}
  for i = 1, #flat, 2 do
    map[flat[i]] = flat[i + 1]
  end
  return map
end

-- The stream as it is; nil when there is none. A key that is no stream raises WRONGTYPE.
local function look()
  if redis.call('EXISTS', stream) == 0 then
    return nil
  end
  local info = pairs_of(redis.call('XINFO', 'STREAM', stream))
  return {
    added = info['entries-added'],
    length = info['length'],
    first = info['first-entry'] and info['first-entry'][1] or '',
    tail = info['last-entry'] and info['last-entry'][1] or '',
    last = info['last-generated-id'],
    deleted = info['max-deleted-entry-id'],
  }
end

-- The group as XINFO GROUPS shows it; nil when there is none.
local function find(group)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local row = pairs_of(flat)
    if row['name'] == group then
      return row
    end
  end
  return nil
end

-- Whether the stream has the group, at the same cost however many groups it has.
local function has(group)
  return not redis.pcall('XINFO', 'CONSUMERS', stream, group).err
end

-- What stands at a place: one entry, or none.
local function at(id)
  return id == '' and {} or redis.call('XRANGE', stream, id, id)
end

-- What a look answers: the stream as it is, and what stands at a place.
local function view(log, token, id)
  return { 'found', token, log.added, log.length, log.first, log.tail, log.last, log.deleted, at(id) }
end

