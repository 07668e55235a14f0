"""Routes and views of the project. Static files come from where `collectstatic` puts them."""

import hashlib

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
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


urlpatterns = [
    path("admin/", admin.site.urls),
    path("upload/", upload),
    path("download/<str:name>", download),
    path("report/", report),
    re_path(r"^static/(?P<path>.*)$", serve, {"document_root": settings.STATIC_ROOT}),
]
