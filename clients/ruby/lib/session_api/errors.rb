# frozen_string_literal: true

module SessionApi
  # The session couldn't be read or written: the API didn't respond, failed, or refused the request.
  #
  # It never means that the session doesn't exist.
  class Unavailable < StandardError; end

  # Another request holds the session's lock, or this one has lost it.
  class Locked < Unavailable; end

  # Another request has changed the session since it was read. +current+ is the session as it is now.
  class Conflict < StandardError
    attr_reader :current

    def initialize(current)
      super('Another request has changed the session since it was read')
      @current = current
    end
  end
end
