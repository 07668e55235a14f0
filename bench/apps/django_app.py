"""Django with its ORM on SQLite: what most of its users run.

Served as `app`; run as a program with a folder it makes the database there. A server has the folder in BENCH_DATA.
"""

import os
import sys

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import models
from django.http import HttpResponse, JsonResponse
from django.urls import path

COUNT = 10000
NAME = "bench.sqlite3"

folder = sys.argv[1] if __name__ == "__main__" else os.environ["BENCH_DATA"]
settings.configure(
    DEBUG=False,
    SECRET_KEY="of no importance: nothing is signed",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    INSTALLED_APPS=[],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(folder, NAME),
            # Connections last, as Django's documentation advises under load.
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()


class Item(models.Model):
    """A row with something to read."""

    name = models.CharField(max_length=50)
    price = models.IntegerField(db_index=True)

    class Meta:
        app_label = "bench"


def told(item):
    return {"id": item.id, "name": item.name, "price": item.price}


def hello(request):
    """No query."""
    return HttpResponse("Hello, World!", content_type="text/plain")


def about(request):
    """What really runs: recorded with the results, never timed."""
    return JsonResponse({"python": sys.version.split()[0], "django": django.get_version()})


def one(request, key):
    """A row by its key."""
    return JsonResponse(told(Item.objects.get(pk=key)))


def cheapest(request):
    """Ten rows by an index."""
    return JsonResponse({"items": [told(item) for item in Item.objects.order_by("price", "id")[:10]]})


urlpatterns = [path("", hello), path("about", about), path("item/<int:key>", one), path("items", cheapest)]


def make():
    """Makes the table and its rows."""
    from django.db import connection

    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create(
        Item(name=f"item {number}", price=number * 13 % 1009) for number in range(1, COUNT + 1)
    )


if __name__ == "__main__":
    make()
else:
    app = get_wsgi_application()
