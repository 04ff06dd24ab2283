import os
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

# README


def page(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(request.session["visits"])


urlpatterns = [path("", page)]
# The README leaves out an app's other middleware.
readme = {name: value for name, value in globals().items() if name.startswith(("SESSION_", "MIDDLEWARE"))}
readme["MIDDLEWARE"] = [name for name in readme["MIDDLEWARE"] if name is not ...]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="of the test", ALLOWED_HOSTS=["localhost"], **readme)
make_server("localhost", int(os.environ["PORT"]), get_wsgi_application()).serve_forever()
