"""What `up` prints when everything runs: where, how to sign in, and the first two commands to try."""

import shlex

from persona.running.home import Running

EVENT = (
    '{"batch":[{"type":"track","event":"product_viewed","userId":"you","properties":{"product":"Lamp","price":39}}]}'
)


def announcement(running: Running, seconds: float) -> str:
    """For people: the secrets in it are theirs, and it goes to their terminal alone."""
    auth = shlex.quote(f"Authorization: Bearer {running.publishable_key}")
    pipeline = f"{running.url}/api/v2/pipeline"
    return f"""
Persona runs (ready in {seconds:.1f} s).

  Open              {running.url}/
  Sign in           {running.admin_user} / {running.admin_password}
  Admin             {running.url}/admin/
  Project           {running.project}
  Publishable key   {running.publishable_key}
  Secret key        {running.secret_key}

Watch profiles enter and leave personas:
  curl -N -H {auth} {pipeline}/stream

Send an event:
  curl -H {auth} -H 'Content-Type: application/json' -d {shlex.quote(EVENT)} {pipeline}/ingest

Ctrl-C stops everything.
"""
