"""Views, one per behaviour."""

import hashlib
import json
import os

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.views.decorators.csrf import csrf_exempt, csrf_protect


def index(request):
    template = engines["django"].from_string("Hello from {{ name }}")
    return HttpResponse(template.render({"name": "Django"}))


def item(request, name):
    return HttpResponse(f"{name} {request.GET.get('colour', '')}")


@csrf_protect
def form(request):
    """GET hands out the CSRF token, POST wants it back."""
    if request.method == "GET":
        template = engines["django"].from_string("{% csrf_token %}")
        return HttpResponse(template.render({}, request))
    return JsonResponse({"name": request.POST["name"], "tags": request.POST.getlist("tag")})


@csrf_exempt
def echo_json(request):
    return JsonResponse({"received": json.loads(request.body), "type": request.content_type})


@csrf_exempt
def mirror(request):
    """The body comes back, whatever the method."""
    return HttpResponse(request.body, content_type="application/octet-stream", headers={"X-Method": request.method})


def cart(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({"filename": file.name, "size": file.size, "digest": digest.hexdigest()})


def stream(request):
    gate = request.GET["gate"]

    def pieces():
        yield "first\n"
        os.close(os.open(gate, os.O_RDONLY))
        yield "second\n"

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def source(request):
    return FileResponse(open(__file__, "rb"), content_type="text/x-python")


def fails(request):
    raise RuntimeError("Django view failed on purpose")
