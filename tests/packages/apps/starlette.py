import os

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def page(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return PlainTextResponse(str(request.session["visits"]))


app = Starlette(routes=[Route("/", page)])
# README
uvicorn.run(app, host="localhost", port=int(os.environ["PORT"]))
