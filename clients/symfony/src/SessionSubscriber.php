<?php

declare(strict_types=1);

namespace SessionApi\Symfony;

use SessionApi\Handler;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Session\SessionInterface;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\Security\Http\Event\LoginSuccessEvent;
use Symfony\Component\Security\Http\Event\LogoutEvent;
use Symfony\Component\Security\Http\Event\TokenDeauthenticatedEvent;

/**
 * Makes the user who logs in the session's owner, and lets the browser keep its cookie if Symfony would replace or
 * delete it wrongly.
 */
final class SessionSubscriber implements EventSubscriberInterface
{
    /** Attribute of a request that changes the session's owner; an empty name removes the owner. */
    private const OWNER = '_session_api_owner';

    public function __construct(private readonly Handler $handler)
    {
    }

    public static function getSubscribedEvents(): array
    {
        return [
            LoginSuccessEvent::class => 'onLogin',
            LogoutEvent::class => 'onLogout',
            TokenDeauthenticatedEvent::class => 'onLogout',
            // Symfony saves the session and sets its cookie at -1000.
            KernelEvents::RESPONSE => [['setOwner', -999], ['keepCookie', -1001]],
        ];
    }

    public function onLogin(LoginSuccessEvent $event): void
    {
        $user = $event->getAuthenticatedToken()->getUserIdentifier();
        $event->getRequest()->attributes->set(self::OWNER, $user);
    }

    public function onLogout(LogoutEvent|TokenDeauthenticatedEvent $event): void
    {
        $event->getRequest()->attributes->set(self::OWNER, '');
    }

    /** Not at the login itself, because the session may start later. With a stateless firewall, it isn't the user's. */
    public function setOwner(ResponseEvent $event): void
    {
        $request = $event->getRequest();
        $owner = $request->attributes->get(self::OWNER);
        $isStateless = !$request->attributes->has('_security_firewall_run');
        if ($owner !== null && ($owner === '' || !$isStateless) && $this->session($event)?->isStarted()) {
            $this->handler->own($owner);
        }
    }

    /** The browser may already have the cookie of a newer session, and a session may have more than the page left. */
    public function keepCookie(ResponseEvent $event): void
    {
        $name = $this->session($event)?->getName();
        $headers = $event->getResponse()->headers;
        foreach ($headers->getCookies() as $cookie) {
            $isWrong = $this->handler->hasEnded() || ($cookie->isCleared() && $this->handler->isRefilled());
            if ($cookie->getName() === $name && $isWrong) {
                $headers->removeCookie($name, $cookie->getPath(), $cookie->getDomain());
            }
        }
    }

    private function session(ResponseEvent $event): ?SessionInterface
    {
        $request = $event->getRequest();

        return $event->isMainRequest() && $request->hasSession(true) ? $request->getSession() : null;
    }
}
