"""Routes of the project."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("items/<str:name>/", views.item),
    path("form/", views.form),
    path("json/", views.echo_json),
    path("mirror", views.mirror),
    path("cart/", views.cart),
    path("upload/", views.upload),
    path("stream/", views.stream),
    path("source/", views.source),
    path("fails/", views.fails),
]
