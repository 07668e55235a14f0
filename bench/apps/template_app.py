"""A page as most Flask applications answer: a Jinja template with a loop, escaping, and a base to fill."""

from flask import Flask, render_template_string

PAGE = """<!doctype html>
<title>{{ title }}</title>
<h1>{{ title }}</h1>
<table>
{%- for row in rows %}
<tr><td>{{ row.id }}</td><td>{{ row.name }}</td></tr>
{%- endfor %}
</table>
"""

ROWS = [{"id": number, "name": f"row <{number}>"} for number in range(100)]

app = Flask(__name__)


@app.get("/")
def hello():
    """The least that a Flask application does."""
    return "Hello, World!"


@app.get("/page")
def page():
    """A table of a hundred rows."""
    return render_template_string(PAGE, title="Rows", rows=ROWS)
