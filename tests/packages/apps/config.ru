# README
run lambda { |env|
  session = Rack::Request.new(env).session
  session['visits'] = session['visits'].to_i + 1
  [200, { 'content-type' => 'text/plain' }, [session['visits'].to_s]]
}
