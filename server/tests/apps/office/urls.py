"""Routes and views of the project. Static files come from where `collectstatic` puts them."""

import hashlib

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.db import close_old_connections, connection
from django.http import FileResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.static import serve


@csrf_exempt
def upload(request):
    """Keeps a file; `kind` is the class that Django has received it with."""
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    name = default_storage.save(file.name, file)
    kind = type(file).__name__
    return JsonResponse({"name": name, "size": file.size, "digest": digest.hexdigest(), "kind": kind})


def download(request, name):
    return FileResponse(default_storage.open(name), as_attachment=True)


@login_required
def report(request):
    """A stream that asks the database while it is sent."""
    from django.contrib.auth.models import User

    def lines():
        for number in range(3):
            yield f"{number} {User.objects.count()} {request.user.get_username()}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def send_confirmation(username, note):
    """The recipe of the README: a task has the database to itself, and leaves no connection open."""
    from django.contrib.auth.models import User

    close_old_connections()
    try:
        before = "open" if connection.connection else "closed"
        user = User.objects.get(username=username)
        with open(note, "a") as file:
            file.write(f"{user.email}, {before}\n")
    finally:
        close_old_connections()


@csrf_exempt
def order(request):
    request.META["smarthttpd.tasks"].submit(send_confirmation, request.POST["username"], request.POST["note"])
    return JsonResponse({"order": "placed"}, status=201)


urlpatterns = [
    path("orders/", order),
    path("admin/", admin.site.urls),
    path("upload/", upload),
    path("download/<str:name>", download),
    path("report/", report),
    re_path(r"^static/(?P<path>.*)$", serve, {"document_root": settings.STATIC_ROOT}),
]
