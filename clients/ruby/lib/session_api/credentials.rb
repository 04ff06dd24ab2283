# frozen_string_literal: true

require 'json'
require 'net/http'
require 'time'

module SessionApi
  # AWS credentials to sign requests with. +expiration+ is a Time, or nil if they don't expire.
  Credentials = Struct.new(:access_key_id, :secret_access_key, :session_token, :expiration) do
    # Keeps the secrets out of logs.
    def inspect = "#<SessionApi::Credentials #{access_key_id}>"
    alias_method :to_s, :inspect
  end

  # Finds credentials as the AWS SDKs do on a server: in the environment, at a container's endpoint (ECS, EKS Pod
  # Identity), or at the instance metadata service (IMDSv2).
  #
  # See https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
  class DefaultCredentials
    CONTAINER_HOST = 'http://169.254.170.2'
    INSTANCE_HOST = 'http://169.254.169.254'
    # Seconds before the expiration when it's time to get new ones.
    MARGIN = 300
    private_constant :CONTAINER_HOST, :INSTANCE_HOST, :MARGIN

    def self.variable(name)
      value = ENV.fetch(name, nil)
      value unless value.nil? || value.empty?
    end

    def initialize
      @mutex = Mutex.new
      @cached = nil
    end

    # Returns the server's credentials, or nil if it has none.
    def call
      from_variables || @mutex.synchronize { @cached = fresh || from_container || from_instance }
    end

    private

    def fresh
      @cached if @cached && @cached.expiration - MARGIN > Time.now
    end

    def from_variables
      id, secret, token = %w[AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN].map { |name| variable(name) }
      Credentials.new(id, secret, token) if id && secret
    end

    def from_container
      path = variable('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
      url = path ? CONTAINER_HOST + path : variable('AWS_CONTAINER_CREDENTIALS_FULL_URI')
      return if url.nil?

      # EKS renews the token in this file.
      file = variable('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE')
      token = file ? File.read(file).strip : variable('AWS_CONTAINER_AUTHORIZATION_TOKEN')
      parse(get(url, token ? { 'authorization' => token } : {}) || raise(Unavailable, "no credentials at #{url}"))
    end

    def from_instance
      return if variable('AWS_EC2_METADATA_DISABLED')&.downcase == 'true'

      host = (variable('AWS_EC2_METADATA_SERVICE_ENDPOINT') || INSTANCE_HOST).chomp('/')
      lifetime = { 'x-aws-ec2-metadata-token-ttl-seconds' => '300' }
      token = get("#{host}/latest/api/token", lifetime, 'PUT') or return
      headers = { 'x-aws-ec2-metadata-token' => token }
      roles = "#{host}/latest/meta-data/iam/security-credentials/"
      role = get(roles, headers).to_s.strip
      parse(get(roles + role, headers).to_s) unless role.empty?
    end

    def parse(text)
      fields = JSON.parse(text)
      Credentials.new(fields.fetch('AccessKeyId'), fields.fetch('SecretAccessKey'), fields['Token'],
                      Time.iso8601(fields.fetch('Expiration')))
    rescue JSON::ParserError, KeyError, ArgumentError
      raise Unavailable, 'the credentials endpoint sent something else'
    end

    # Returns the body of a response with status 200, otherwise nil.
    def get(url, headers, verb = 'GET')
      uri = URI(url)
      http = Net::HTTP.new(uri.host, uri.port, nil)
      http.use_ssl = uri.scheme == 'https'
      http.open_timeout = 1
      http.read_timeout = 2
      http.max_retries = 0
      response = http.request(Net::HTTPGenericRequest.new(verb, false, true, uri, headers))
      response.body if response.code == '200'
    rescue SystemCallError, IOError, SocketError, Timeout::Error
      nil
    end

    def variable(name) = self.class.variable(name)
  end
end
