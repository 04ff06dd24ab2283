# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = 'session_api'
  spec.version = '0.1.0'
  spec.summary = 'Keeps sessions of Rack and Rails apps in the session API'
  spec.authors = ['The session API contributors']
  spec.license = 'MIT'
  spec.files = Dir['lib/**/*.rb'] + %w[LICENSE README.md]
  spec.required_ruby_version = '>= 3.1'
  # Rack 2 has its own sessions, so there it's an empty gem.
  spec.add_dependency 'rack-session', '>= 1', '< 3'
  spec.metadata = { 'rubygems_mfa_required' => 'true' }
end
