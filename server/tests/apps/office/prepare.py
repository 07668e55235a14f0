"""What an operator does before the first start: tables, static files, somebody who may log in."""

import os

import django
from django.core.management import call_command

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "office.settings")
    django.setup()
    call_command("check", deploy=True, fail_level="WARNING", verbosity=0)
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)

    from django.contrib.auth.models import User

    User.objects.create_superuser("ada", "ada@office.test", "lovelace")
