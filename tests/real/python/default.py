#!/usr/bin/env python3
"""Tells whom DefaultAzureCredential of the official azure-identity, sync and unchanged, chooses in each of many environments.

    default.py

Standard input has an environment per line, an object of JSON: "variables", all that there are, and "options", those of our
builder by their names. For each a process of its own sees these variables and no others. Output is a line per environment:
"built", "winner" (the class), "token", "attempts" (the classes that the error lists), "stopped" (whether others were left to
try), and "why", the error.
"""

import json
import logging
import os
import re
import sys
import traceback
import warnings

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential

SCOPE = "https://storage.azure.com/.default"
EXCLUDE = {
    "EnvironmentCredential": "exclude_environment_credential",
    "WorkloadIdentityCredential": "exclude_workload_identity_credential",
    "ManagedIdentityCredential": "exclude_managed_identity_credential",
    "SharedTokenCacheCredential": "exclude_shared_token_cache_credential",
    "VisualStudioCodeCredential": "exclude_visual_studio_code_credential",
    "AzureCliCredential": "exclude_cli_credential",
    "AzurePowerShellCredential": "exclude_powershell_credential",
    "AzureDeveloperCliCredential": "exclude_developer_cli_credential",
    "InteractiveBrowserCredential": "exclude_interactive_browser_credential",
    "BrokerCredential": "exclude_broker_credential",
}


def main() -> None:
    logging.disable(logging.CRITICAL)
    # People who use a password are told that it is deprecated.
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(apart(json.loads(line))), flush=True)


def apart(given: dict) -> dict:
    """Runs an environment in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            os.environ.clear()
            os.environ.update(given["variables"])
            with os.fdopen(writer, "w") as out:
                json.dump(choose(given["options"]), out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said)


def choose(options: dict) -> dict:
    outcome = {"built": False, "winner": None, "token": None, "attempts": [], "stopped": False, "why": ""}
    try:
        credential = DefaultAzureCredential(disable_instance_discovery=True, **keywords(options))
    except Exception as error:
        return outcome | {"why": f"{type(error).__name__}: {error}"}
    outcome["built"] = True
    try:
        outcome["token"] = credential.get_token(SCOPE).token
    except ClientAuthenticationError as error:
        attempts = re.findall(r"^\t(\w+Credential)(?::|$)", error.message, re.MULTILINE)
        outcome |= {"attempts": attempts, "stopped": len(attempts) < len(credential.credentials), "why": error.message}
    else:
        outcome["winner"] = type(credential._successful_credential).__name__
    return outcome


def keywords(options: dict) -> dict:
    """From the names of our builder to those of theirs; one that is not known is an error."""
    found = {}
    for name, value in options.items():
        if name == "exclude":
            found |= {EXCLUDE[link]: True for link in value}
        elif name == "include":
            found |= {EXCLUDE[link]: False for link in value}
        elif name == "process_timeout_secs":
            found["process_timeout"] = value
        elif name == "system_assigned_managed_identity":
            found["managed_identity_client_id"] = None
        elif name in ("managed_identity_client_id", "require_envvar"):
            found[name] = value
        else:
            raise ValueError(f"there is no option {name}")
    return found


if __name__ == "__main__":
    main()
