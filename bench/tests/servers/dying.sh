#!/bin/sh
# Stands in for smarthttpd: leaves a daemon in a session of its own behind, says why, and ends.
setsid sleep 300 &
echo "no such application: flask_app" >&2
exit 3
