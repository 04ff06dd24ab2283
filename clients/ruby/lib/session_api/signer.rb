# frozen_string_literal: true

require 'openssl'
require 'time'

module SessionApi
  # AWS Signature Version 4 for API Gateway and Lambda function URLs.
  #
  # See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
  class Signer
    ALGORITHM = 'AWS4-HMAC-SHA256'
    # A host that names its service and region.
    AWS_HOST = /\.(execute-api|lambda)(?:-url)?\.([^.]+)\.(?:amazonaws|on)\./
    private_constant :ALGORITHM, :AWS_HOST

    # The service and region are for hosts that don't name them, such as a custom domain.
    def initialize(service, region)
      @scope = [region, service]
    end

    # Returns the headers of a request, plus those that sign it. Header names are in lowercase.
    def sign(verb, uri, headers, body, credentials, now)
      time = now.getutc.strftime('%Y%m%dT%H%M%SZ')
      token = credentials.session_token
      headers = { **headers, 'x-amz-date' => time, **(token ? { 'x-amz-security-token' => token } : {}) }
      signed = { **headers, 'host' => host(uri) }.sort
      names = signed.map(&:first).join(';')
      lines = signed.map { |name, value| "#{name}:#{value.strip.squeeze(' ')}\n" }.join
      request = [verb, encode(uri.path), '', lines, names, hash(body)].join("\n")
      region, service = AWS_HOST.match(uri.host)&.captures&.reverse || @scope
      scope = "#{time[0, 8]}/#{region}/#{service}/aws4_request"
      key = scope.split('/').reduce("AWS4#{credentials.secret_access_key}") { |secret, part| hmac(secret, part) }
      signature = hmac(key, [ALGORITHM, time, scope, hash(request)].join("\n")).unpack1('H*')
      credential = "#{credentials.access_key_id}/#{scope}"
      authorization = "#{ALGORITHM} Credential=#{credential}, SignedHeaders=#{names}, Signature=#{signature}"
      { **headers, 'authorization' => authorization }
    end

    private

    def host(uri)
      uri.port == uri.default_port ? uri.host : "#{uri.host}:#{uri.port}"
    end

    # Encodes an already encoded path once more, as every service except S3 requires.
    def encode(path)
      path.gsub(%r{[^A-Za-z0-9_.~/-]}) { |character| format('%%%02X', character.ord) }
    end

    def hash(text)
      OpenSSL::Digest::SHA256.hexdigest(text)
    end

    def hmac(key, text)
      OpenSSL::HMAC.digest('SHA256', key, text)
    end
  end
end
