#!/usr/bin/env python3
"""Exchanges the tokens of many users with the official azure-identity, unchanged, and tells what it took.

    obo.py USERS AT-A-TIME

The application and its authority come from AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_AUTHORITY_HOST.
Each user has a credential of their own, for that is the only form that the library has. Prints names and numbers.
"""

import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from azure.identity import OnBehalfOfCredential

SCOPE = "https://graph.microsoft.com/.default"


def exchange(user: int) -> "tuple[str, float]":
    started = time.perf_counter()
    assertion = f"{'eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9' * 33}.{user}.signature"
    with OnBehalfOfCredential(
        os.environ["AZURE_TENANT_ID"],
        os.environ["AZURE_CLIENT_ID"],
        client_secret=os.environ["AZURE_CLIENT_SECRET"],
        user_assertion=assertion,
        authority=os.environ["AZURE_AUTHORITY_HOST"],
        disable_instance_discovery=True,
    ) as credential:
        token = credential.get_token(SCOPE).token
    return token, time.perf_counter() - started


def main() -> None:
    users, at_a_time = (int(argument) for argument in sys.argv[1:3])
    started = time.perf_counter()
    with ThreadPoolExecutor(at_a_time) as pool:
        done = list(pool.map(exchange, range(users)))
    print("elapsed", round((time.perf_counter() - started) * 1e9))
    waits = sorted(wait for _, wait in done)
    print("p50", round(waits[len(waits) // 2] * 1e9))
    print("p99", round(waits[len(waits) * 99 // 100] * 1e9))
    print("tokens", len({token for token, _ in done}))
    print("kib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
