"""Django with django-graphql-jwt, refresh tokens by the recipe of its documentation for single use.

    PORT=8000 DATA=folder python server.py serve
    PORT=8000 DATA=folder python server.py delete USERNAME

The database is made on demand, with one person. DATA/counts has a line for each renewal that was asked for ("asked") and
for each that was granted ("rotated").
"""

import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import django
from django.conf import settings

DATA = Path(os.environ["DATA"])

# How long the last answers may take on their way to the client when the server ends, in seconds.
LAST_ANSWERS = 0.3

settings.configure(
    SECRET_KEY="a-key-of-a-test-that-is-long-enough-for-its-hash",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "graphene_django",
        "graphql_jwt.refresh_token.apps.RefreshTokenConfig",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA / "data.db",
            # Callers side by side: they wait for each other's writes, for so many seconds.
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    AUTHENTICATION_BACKENDS=[
        "graphql_jwt.backends.JSONWebTokenBackend",
        "django.contrib.auth.backends.ModelBackend",
    ],
    GRAPHENE={"MIDDLEWARE": ["graphql_jwt.middleware.JSONWebTokenMiddleware"]},
    GRAPHQL_JWT={
        "JWT_VERIFY_EXPIRATION": True,
        "JWT_LONG_RUNNING_REFRESH_TOKEN": True,
        "JWT_EXPIRATION_DELTA": timedelta(seconds=int(os.environ.get("ACCESS_SECONDS", "3"))),
    },
)
django.setup()

import graphene  # noqa: E402
import graphql_jwt  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.dispatch import receiver  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from graphene_django.views import GraphQLView  # noqa: E402
from graphql_jwt.decorators import login_required  # noqa: E402
from graphql_jwt.refresh_token.signals import refresh_token_rotated  # noqa: E402


def count(what):
    with open(DATA / "counts", "a", encoding="ascii") as counts:
        counts.write(f"{what}\n")


@receiver(refresh_token_rotated)
def revoke_refresh_token(sender, request, refresh_token, **kwargs):
    refresh_token.revoke(request)
    count("rotated")


class Person(graphene.ObjectType):
    username = graphene.String()


class Query(graphene.ObjectType):
    me = graphene.Field(Person)

    @login_required
    def resolve_me(self, info):
        return Person(username=info.context.user.username)


class Mutation(graphene.ObjectType):
    token_auth = graphql_jwt.ObtainJSONWebToken.Field()
    refresh_token = graphql_jwt.Refresh.Field()
    revoke_token = graphql_jwt.Revoke.Field()


view = csrf_exempt(GraphQLView.as_view(schema=graphene.Schema(query=Query, mutation=Mutation)))


under_way = 0
changing = threading.Lock()


def graphql(request):
    global under_way
    if b"refreshToken(refreshToken" in request.body:
        count("asked")
    with changing:
        under_way += 1
    try:
        return view(request)
    finally:
        with changing:
            under_way -= 1


def end(*_):
    """What it has begun it finishes."""
    while under_way > 0:
        time.sleep(0.01)
    time.sleep(LAST_ANSWERS)
    os._exit(0)


urlpatterns = [path("graphql", csrf_exempt(graphql))]

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    users = get_user_model().objects
    if command == "delete":
        users.get(username=arguments[0]).delete()
    elif command == "serve":
        call_command("migrate", verbosity=0)
        if not users.exists():
            users.create_user("ada", password=os.environ["PASSWORD"])
        signal.signal(signal.SIGTERM, end)
        call_command("runserver", f"127.0.0.1:{os.environ['PORT']}", use_reloader=False, skip_checks=True)
