-- SPDX-License-Identifier: MIT
-- Websockets subscribe, leave, come and go while others publish; what each gets is compared with what a simple model says.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'

local socket_count = 24
local topic_count = 10
local rounds = math.max(100, math.floor(3000 / loop.time_factor))

describe('topics', function()
  leaks.check_each(before_each, after_each)

  it('deliver to exactly those that are subscribed, however they come and go', function()
    math.randomseed(7)
    local newest
    local ctx, port = loop.context { protocols = { p = function(ws) newest = ws end } }
    local members = {} -- number -> { client, websocket, topics, expected }

    local function open(number)
      local c = client.open(ctx, port, 'p')
      members[number] = { client = c, ws = newest, topics = {}, expected = {} }
    end

    local function take(member)
      for _, text in ipairs(member.expected) do
        member.client:expect_text(text)
      end
      member.expected = {}
    end

    local function publish(topic, data, from)
      local expected = 0
      for _, member in ipairs(members) do
        if member.topics[topic] and member ~= from then
          expected = expected + 1
          member.expected[#member.expected + 1] = data
        end
      end
      local status, receivers = (from and from.ws or ctx):publish(topic, data)
      if status ~= 0 or receivers ~= expected then
        error(('%s receivers instead of %d'):format(tostring(receivers), expected))
      end
    end

    local function leave_or_come_back(number)
      local member = members[number]
      if math.random(2) == 1 then
        member.ws:terminate()
        member.client:close()
      else
        take(member)
        member.client:finish(1000)
      end
      open(number)
    end

    local function change(member, topic)
      if member.topics[topic] then
        assert(member.ws:unsubscribe(topic) == true)
        member.topics[topic] = nil
      else
        assert(member.ws:subscribe(topic) == true)
        member.topics[topic] = true
      end
    end

    local function count_topics()
      local counts = {}
      for _, member in ipairs(members) do
        for topic in pairs(member.topics) do
          counts[topic] = (counts[topic] or 0) + 1
        end
      end
      return counts
    end

    for number = 1, socket_count do
      open(number)
    end
    for round = 1, rounds do
      local number, topic = math.random(socket_count), 'topic ' .. math.random(topic_count)
      local what = math.random(20)
      if what == 1 then
        leave_or_come_back(number)
      elseif what <= 10 then
        change(members[number], topic)
      else
        publish(topic, tostring(round), what <= 14 and members[number] or nil)
      end
      if round % 100 == 0 then
        for _, member in ipairs(members) do
          take(member)
        end
        assert.same(count_topics(), ctx:topics())
      end
    end
    for _, member in ipairs(members) do
      member.ws:terminate()
    end
    assert.same({}, ctx:topics())
  end)
end)
