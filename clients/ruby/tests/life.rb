# frozen_string_literal: true

# Takes a session through its life with this client, to test a deployed API. Prints `lived` at the end.

require_relative '../lib/session_api/client'

client = SessionApi::Client.new(SessionApi::Options.new(retries: 0))
calls = SessionApi::Calls
id, new_id = Array.new(2) { SecureRandom.hex(16) }
user = "life of #{id[0, 8]} ü!'()*~"
attributes = SessionApi::Attributes.new(ttl: 600, label: 'Ruby & life')
check = ->(is_right) { is_right || abort("wrong: #{caller(1, 1).first}") }

created = client.run(calls.create(id, '{"a":"ü"}', attributes))
check.call(client.run(calls.read(id)).etag == created.etag)
replaced = client.run(calls.replace(client.run(calls.lock(id, 0, 10)), '{}', attributes))
client.run(calls.touch(replaced, 600))
attributes.user = user
rotated = client.run(calls.rotate(replaced, new_id, '[]', attributes))
check.call(client.run(calls.read(new_id)).to_h.values_at(:data, :etag, :user) == ['[]', rotated.etag, user])
check.call(client.run(calls.read(id)).nil?)
device, = client.run(calls.sessions(user, new_id))
check.call(device['label'] == 'Ruby & life' && device['current'])
check.call(client.run(calls.destroy_by_handle(user, device['handle'])))
check.call(client.run(calls.destroy_all(user)).zero?)
client.run(calls.destroy(new_id))
check.call(client.run(calls.read(new_id)).nil?)
print 'lived'
