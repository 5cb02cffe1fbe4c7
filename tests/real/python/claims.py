#!/usr/bin/env python3
"""Checks a token with PyJWT against the emulator's key set, and prints its claims as JSON.

    claims.py KEYS_URL AUDIENCE TENANT

The token is the standard input: arguments are for everybody to see. The exit code is not 0, and the reason on standard error, for a
token that is not good.
"""

import json
import sys

from entra import Verifier

if __name__ == "__main__":
    keys_url, audience, tenant = sys.argv[1:]
    print(json.dumps(Verifier(keys_url)(sys.stdin.read(), audience, tenant)))
