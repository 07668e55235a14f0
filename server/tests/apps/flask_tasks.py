"""A Flask application that leaves a task, with the recipe of the README."""

import os

import smarthttpd_tasks
from flask import Flask, current_app, request

app = Flask(__name__)
app.config["SIGNATURE"] = "the shop"


def send_confirmation(path, gate, order):
    with app.app_context():
        os.close(os.open(gate, os.O_RDONLY))
        with open(path, "a") as file:
            file.write(f"{order}, {current_app.config['SIGNATURE']}\n")


@app.post("/orders/<order>")
def place(order):
    smarthttpd_tasks.submit(send_confirmation, request.form["note"], request.form["gate"], order)
    return f"order {order} is placed", 201
